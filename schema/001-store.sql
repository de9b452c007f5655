-- What the store needs for itself: which migrations ran, and who holds which lease.
CREATE TABLE IF NOT EXISTS schema_version (
  name TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  applied_at @time NOT NULL,
  PRIMARY KEY (name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS store_lock (
  name TEXT NOT NULL,
  owner TEXT NOT NULL,
  epoch BIGINT NOT NULL,
  until @time NOT NULL,
  PRIMARY KEY (name)
) WITHOUT ROWID;
