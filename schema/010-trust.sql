-- The ledger. ledger_log: the names it has had (a declared new log is a new generation over the same tree). ledger_pending: leaves without a
-- place (PostgreSQL's: on SQLite, where one writes at a time, a leaf has its place at once, and those from ledger_state's size on wait to be in the tree).
-- ledger_span: the oldest and newest time in the headers of a tile's leaves. By that and the tile's hashes a leaf is found: an index of hashes would write
-- a page of its own for each leaf. ledger_late: those that tell of a time long before their neighbours' (imported cases): each would make its tile's span
-- years long, so they are found here. ledger_head.kept: 0 may be forgotten after ten minutes; bits: 1 first in its minute, 2 time-stamped, 4 co-signed.
CREATE TABLE ledger_log (
  generation BIGINT NOT NULL,
  origin TEXT NOT NULL,
  key TEXT NOT NULL,
  begun_at @time NOT NULL,
  first_size BIGINT NOT NULL,
  why TEXT NOT NULL,
  PRIMARY KEY (generation)
) WITHOUT ROWID;

CREATE TABLE ledger_pending (
  at @time NOT NULL,
  leaf_hash @blob NOT NULL,
  header TEXT NOT NULL,
  digest @blob NOT NULL,
  PRIMARY KEY (at, leaf_hash)
) WITHOUT ROWID;

CREATE TABLE ledger_leaf (
  idx @number NOT NULL,
  leaf_hash @blob NOT NULL,
  header TEXT NOT NULL,
  digest @blob NOT NULL,
  PRIMARY KEY (idx)
) @wide;

CREATE TABLE ledger_span (
  n @number NOT NULL,
  oldest @time NOT NULL,
  newest @time NOT NULL,
  PRIMARY KEY (n)
) @wide;

CREATE INDEX ledger_span_newest ON ledger_span (newest, n, oldest);

CREATE TABLE ledger_late (
  idx @number NOT NULL,
  at @time NOT NULL,
  leaf_hash @blob NOT NULL,
  PRIMARY KEY (idx)
) @wide;

CREATE INDEX ledger_late_leaf ON ledger_late (at, leaf_hash);

CREATE TABLE ledger_tile (
  level BIGINT NOT NULL,
  n BIGINT NOT NULL,
  hashes @blob NOT NULL,
  PRIMARY KEY (level, n)
) @wide;

CREATE TABLE ledger_state (
  name TEXT NOT NULL,
  size BIGINT NOT NULL,
  root @blob NOT NULL,
  PRIMARY KEY (name)
) WITHOUT ROWID;

CREATE TABLE ledger_head (
  generation BIGINT NOT NULL,
  tree_size BIGINT NOT NULL,
  at @time NOT NULL,
  root @blob NOT NULL,
  checkpoint TEXT NOT NULL,
  kept BIGINT NOT NULL,
  PRIMARY KEY (generation, tree_size)
) WITHOUT ROWID;

CREATE INDEX ledger_head_spare ON ledger_head (kept, at);

CREATE TABLE ledger_stamp (
  generation BIGINT NOT NULL,
  tree_size BIGINT NOT NULL,
  at @time NOT NULL,
  token @blob NOT NULL,
  PRIMARY KEY (generation, tree_size)
) WITHOUT ROWID;

CREATE TABLE ledger_cosignature (
  generation BIGINT NOT NULL,
  tree_size BIGINT NOT NULL,
  witness TEXT NOT NULL,
  at @time NOT NULL,
  line TEXT NOT NULL,
  PRIMARY KEY (generation, tree_size, witness)
) WITHOUT ROWID;
