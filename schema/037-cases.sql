-- What citizens answered after a decision: one row an item of the pack's survey, and the item 'score' (1 to 5) for the whole.
-- value: 1 to 5 on a scale; yes is 1 and no 0. survey: the version of the survey that was asked. Kept when the case is erased: it names nobody.
CREATE TABLE case_rating (
  tracking @id NOT NULL,
  item TEXT NOT NULL,
  value BIGINT NOT NULL,
  survey BIGINT NOT NULL,
  organisation TEXT NOT NULL,
  service TEXT NOT NULL,
  at @time NOT NULL,
  PRIMARY KEY (tracking, item)
) WITHOUT ROWID;
CREATE INDEX case_rating_organisation ON case_rating (organisation, at, item);

-- Who may act for whom, since an approved request says so (tracking: that request). principal and attorney: keys of persons; a company's
-- legal id makes a key as a person's does. proved: by the register that its service names, which is asked again at every use. scope: all,
-- or service:CODE, organisation:CODE, event:CODE. until: the last day, 0: none. since: in force from then on, 0: not yet. ended: revoked, 0: not.
CREATE TABLE mandate (
  tracking @id NOT NULL,
  principal TEXT NOT NULL,
  attorney TEXT NOT NULL,
  principal_id TEXT NOT NULL,
  attorney_id TEXT NOT NULL,
  name TEXT NOT NULL,
  mobile TEXT NOT NULL,
  scope TEXT NOT NULL,
  until BIGINT NOT NULL,
  proved BIGINT NOT NULL,
  service TEXT NOT NULL,
  since @time NOT NULL,
  ended @time NOT NULL,
  PRIMARY KEY (tracking)
) WITHOUT ROWID;
CREATE INDEX mandate_attorney ON mandate (attorney, ended, principal);
CREATE INDEX mandate_principal ON mandate (principal, since);

-- A complaint and the case that it is about.
CREATE TABLE case_about (
  about @id NOT NULL,
  tracking @id NOT NULL,
  PRIMARY KEY (about, tracking)
) WITHOUT ROWID;
