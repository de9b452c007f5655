-- One-time codes by which a prober at a hub makes itself known: hash is the SHA-256 of the code (as it is read) in hex.
CREATE TABLE network_prober_code (
  name @id NOT NULL,
  hash TEXT NOT NULL,
  until_at @time NOT NULL,
  at @time NOT NULL,
  who TEXT NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY (name)
) WITHOUT ROWID;

-- What a prober said of itself with its last report (its number, so that none is taken twice), how far its clock was from ours (ms, 0 before the first),
-- why it cannot send (trouble, '' it can), and the key that was taken away from it, why and by whom (revoked_at 0: it was not).
CREATE TABLE network_prober_said (
  name @id NOT NULL,
  report BIGINT NOT NULL,
  heard @time NOT NULL,
  version TEXT NOT NULL,
  backlog BIGINT NOT NULL,
  oldest @time NOT NULL,
  skew BIGINT NOT NULL,
  trouble TEXT NOT NULL,
  joined_at @time NOT NULL,
  admitted_by TEXT NOT NULL,
  revoked_at @time NOT NULL,
  revoked_by TEXT NOT NULL,
  revoked_key TEXT NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY (name)
) WITHOUT ROWID;
