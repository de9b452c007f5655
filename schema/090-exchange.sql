-- The log of a gateway: every signed message that passed, by its leaf in the gateway's ledger. headers: JSON pairs as they were signed; base: the
-- signature base; body: only where the service keeps bodies and it is small, its digest stands in the headers.
CREATE TABLE exchange_message (
  leaf @id NOT NULL,
  message_id TEXT NOT NULL,
  side TEXT NOT NULL,
  client TEXT NOT NULL,
  service TEXT NOT NULL,
  at @time NOT NULL,
  status BIGINT NOT NULL,
  method TEXT,
  target TEXT,
  keyid TEXT NOT NULL,
  headers TEXT NOT NULL,
  base TEXT NOT NULL,
  body @blob,
  header TEXT NOT NULL,
  salt @blob NOT NULL,
  PRIMARY KEY (leaf)
) @wide;
CREATE INDEX exchange_message_id ON exchange_message (message_id, at);
