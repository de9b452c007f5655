-- Administrative acts: who did what to accounts, units, calendars, services, packs. Each is a leaf of the ledger; its payload is made of these
-- columns again, so none can be changed unseen. detail: canonical JSON or ''.
CREATE TABLE act (
  at @time NOT NULL,
  id @id NOT NULL,
  kind TEXT NOT NULL,
  organisation TEXT NOT NULL,
  who TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail TEXT NOT NULL,
  salt @blob NOT NULL,
  PRIMARY KEY (at, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX act_id ON act (id);
CREATE INDEX act_organisation ON act (organisation, at, id);

-- What an account needs beside its row of staff. pending_totp: a second factor that was shown but not yet confirmed by a code.
CREATE TABLE staff_account (
  username @id NOT NULL,
  must_change BIGINT NOT NULL,
  disabled BIGINT NOT NULL,
  pending_totp TEXT NOT NULL,
  PRIMARY KEY (username)
) WITHOUT ROWID;

-- Where two meet who take away the last managers of an organisation ('': the operators) at once.
CREATE TABLE staff_guard (
  organisation @id NOT NULL,
  n BIGINT NOT NULL,
  PRIMARY KEY (organisation)
) WITHOUT ROWID;

-- Parts of an organisation, as its manager names them. closed_at 0: in use.
CREATE TABLE unit (
  organisation @id NOT NULL,
  code @id NOT NULL,
  name_fa TEXT NOT NULL,
  name_en TEXT NOT NULL,
  closed_at @time NOT NULL,
  PRIMARY KEY (organisation, code)
) WITHOUT ROWID;
CREATE TABLE staff_unit (
  username @id NOT NULL,
  organisation @id NOT NULL,
  unit @id NOT NULL,
  PRIMARY KEY (username, organisation)
) WITHOUT ROWID;
CREATE INDEX staff_unit_unit ON staff_unit (organisation, unit, username);
