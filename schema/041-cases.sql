-- When documents last came to an open case from outside its office (after the request itself), and when each of the staff has looked at it since:
-- a desk marks what somebody has not seen yet. Both go when the case is erased.
CREATE TABLE case_news (
  tracking @id NOT NULL,
  at @time NOT NULL,
  PRIMARY KEY (tracking)
) WITHOUT ROWID;
CREATE TABLE case_seen (
  tracking @id NOT NULL,
  username TEXT NOT NULL,
  at @time NOT NULL,
  PRIMARY KEY (tracking, username)
) WITHOUT ROWID;
