-- When a member of staff was last here, within ten minutes.
CREATE TABLE staff_seen (
  username @id NOT NULL,
  at @time NOT NULL,
  PRIMARY KEY (username)
) WITHOUT ROWID;
