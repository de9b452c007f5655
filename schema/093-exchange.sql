-- What was answered to messages that change something: the same message again is answered from here. Kept for a day.
CREATE TABLE exchange_repeat (
  client @id NOT NULL,
  message_id TEXT NOT NULL,
  digest @blob NOT NULL,
  process TEXT NOT NULL,
  at @time NOT NULL,
  status BIGINT NOT NULL,
  headers TEXT,
  body @blob,
  PRIMARY KEY (client, message_id)
) @wide;
CREATE INDEX exchange_repeat_at ON exchange_repeat (at);
