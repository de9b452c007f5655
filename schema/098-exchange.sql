-- Messages that change something, that were sent to a gateway and not answered: what became of them only that gateway can tell. Kept for a day.
CREATE TABLE exchange_unsure (
  client @id NOT NULL,
  message_id TEXT NOT NULL,
  server TEXT NOT NULL,
  at @time NOT NULL,
  PRIMARY KEY (client, message_id)
) WITHOUT ROWID;
CREATE INDEX exchange_unsure_at ON exchange_unsure (at);
