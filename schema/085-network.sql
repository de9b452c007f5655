-- People on duty: whose offices (organisation, '' the province), at which level of an incident they are told. network_contact_told: of what.
CREATE TABLE network_contact (
  id @id NOT NULL,
  organisation TEXT NOT NULL,
  level BIGINT NOT NULL,
  name TEXT NOT NULL,
  target TEXT NOT NULL,
  lang TEXT NOT NULL,
  at @time NOT NULL,
  who TEXT NOT NULL,
  PRIMARY KEY (id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX network_contact_of ON network_contact (organisation, level, target);
CREATE TABLE network_contact_told (
  incident BIGINT NOT NULL,
  contact @id NOT NULL,
  PRIMARY KEY (incident, contact)
) WITHOUT ROWID;
