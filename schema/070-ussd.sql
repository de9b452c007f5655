CREATE TABLE ussd_session (
  mobile @id NOT NULL,
  at @time NOT NULL,
  state TEXT NOT NULL,
  PRIMARY KEY (mobile)
) WITHOUT ROWID;
CREATE INDEX ussd_session_at ON ussd_session (at, mobile);
