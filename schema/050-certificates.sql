-- Papers that a decision gives. tracking, issue: a case's first, second… paper; code: what is typed to check it. decision: the leaf of the event that it
-- rests on. valid_until: its last day, 0: none. state: 0 valid, 1 revoked, 2 replaced by the next issue; ended: when, and reason (a code). sha256: of the
-- file. Nothing in it is about the person: it stays when the case is erased, without the file.
CREATE TABLE certificate (
  tracking @id NOT NULL,
  issue BIGINT NOT NULL,
  code @id NOT NULL,
  number TEXT NOT NULL,
  service TEXT NOT NULL,
  organisation TEXT NOT NULL,
  title_fa TEXT NOT NULL,
  title_en TEXT NOT NULL,
  decision @blob NOT NULL,
  decided @time NOT NULL,
  issued @time NOT NULL,
  valid_until BIGINT NOT NULL,
  state BIGINT NOT NULL,
  ended @time NOT NULL,
  reason TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  PRIMARY KEY (tracking, issue)
) @wide;
CREATE UNIQUE INDEX certificate_code ON certificate (code);
CREATE INDEX certificate_sha256 ON certificate (sha256);

CREATE TABLE certificate_file (
  sha256 TEXT NOT NULL,
  bytes @blob NOT NULL,
  PRIMARY KEY (sha256)
) @wide;

-- seq 1: issued; 2: revoked or replaced. Each is a leaf of the ledger; salt and payload of the second are lost when the case is erased.
CREATE TABLE certificate_change (
  tracking @id NOT NULL,
  issue BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  header TEXT NOT NULL,
  salt @blob,
  payload TEXT,
  leaf_hash @blob NOT NULL,
  PRIMARY KEY (tracking, issue, seq)
) @wide;

-- Cases that have closed since their papers were looked at.
CREATE TABLE certificate_due (
  tracking @id NOT NULL,
  at @time NOT NULL,
  PRIMARY KEY (tracking)
) WITHOUT ROWID;
CREATE INDEX certificate_due_at ON certificate_due (at, tracking);
