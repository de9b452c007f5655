CREATE INDEX case_access_at ON case_access (at, who);

-- How many persons a member of staff looked at on a day (each case once): counts alone, as a measure for their peers.
CREATE TABLE look_day (
  day BIGINT NOT NULL,
  who @id NOT NULL,
  role BIGINT NOT NULL,
  many BIGINT NOT NULL,
  outside BIGINT NOT NULL,
  night BIGINT NOT NULL,
  namesake BIGINT NOT NULL,
  PRIMARY KEY (day, who)
) WITHOUT ROWID;

-- What stood out, for those who answer for that person and auditors: counts, never data. usual: the median of the peers; most: the limit.
CREATE TABLE look_report (
  id @id NOT NULL,
  kind TEXT NOT NULL,
  who TEXT NOT NULL,
  role BIGINT NOT NULL,
  organisation TEXT NOT NULL,
  day BIGINT NOT NULL,
  count BIGINT NOT NULL,
  usual BIGINT NOT NULL,
  most BIGINT NOT NULL,
  at @time NOT NULL,
  acknowledged_at @time NOT NULL,
  acknowledged_by TEXT NOT NULL,
  note TEXT NOT NULL,
  PRIMARY KEY (id)
) WITHOUT ROWID;
CREATE INDEX look_report_organisation ON look_report (organisation, day, id);
