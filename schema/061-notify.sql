-- How messages that left end: the hash of their last words, by which people ask whether a message is ours. Kept as long as the message.
CREATE TABLE notify_tail (
  tail TEXT NOT NULL,
  at @time NOT NULL,
  key @id NOT NULL,
  PRIMARY KEY (tail, at, key)
) WITHOUT ROWID;
CREATE INDEX notify_tail_at ON notify_tail (at);
