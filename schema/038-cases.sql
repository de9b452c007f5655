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
