-- Services that take no new requests for now. until: the first day on which they do again, 0: until somebody says so.
CREATE TABLE service_stop (
  service @id NOT NULL,
  at @time NOT NULL,
  reason_fa TEXT NOT NULL,
  reason_en TEXT NOT NULL,
  until BIGINT NOT NULL,
  PRIMARY KEY (service)
) WITHOUT ROWID;
-- The unit of the holding organisation that a case was referred to.
CREATE TABLE case_unit (
  tracking @id NOT NULL,
  organisation @id NOT NULL,
  unit @id NOT NULL,
  PRIMARY KEY (tracking)
) WITHOUT ROWID;
CREATE INDEX case_unit_unit ON case_unit (organisation, unit, tracking);
-- Definitions of services that organisations propose themselves. slot: service/version while it stands, its id once withdrawn: one of each.
-- Served from the next start on, when somebody else of the organisation and an operator have approved it.
CREATE TABLE proposal (
  id @id NOT NULL,
  organisation @id NOT NULL,
  service TEXT NOT NULL,
  version BIGINT NOT NULL,
  slot TEXT NOT NULL,
  definition TEXT NOT NULL,
  at @time NOT NULL,
  who TEXT NOT NULL,
  approver TEXT NOT NULL,
  operator TEXT NOT NULL,
  ended TEXT NOT NULL,
  PRIMARY KEY (id)
) @wide;
CREATE UNIQUE INDEX proposal_slot ON proposal (slot);
CREATE INDEX proposal_organisation ON proposal (organisation, at, id);
