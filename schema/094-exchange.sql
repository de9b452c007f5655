-- Messages that were taken to be delivered later. Bodies stand in files beside the store. state: waiting, answered, failed. next_at: when something is to be
-- done, NULL: nothing is left. lane: for whom, the provider or who is called back. claimed_by: the process that is at it. unsure_at: since when it may have been done.
CREATE TABLE exchange_async (
  client @id NOT NULL,
  message_id TEXT NOT NULL,
  file TEXT NOT NULL,
  state TEXT NOT NULL,
  method TEXT NOT NULL,
  target TEXT NOT NULL,
  headers TEXT NOT NULL,
  digest @blob NOT NULL,
  callback TEXT,
  pinned TEXT,
  taken_at @time NOT NULL,
  until_at @time NOT NULL,
  next_at @time,
  tries BIGINT NOT NULL,
  last_error TEXT,
  ended_at @time,
  status BIGINT NOT NULL,
  answer TEXT,
  called_at @time,
  lane TEXT NOT NULL,
  claimed_by TEXT,
  unsure_at @time,
  PRIMARY KEY (client, message_id)
) @wide;
CREATE INDEX exchange_async_next ON exchange_async (next_at, lane, claimed_by);
CREATE INDEX exchange_async_lane ON exchange_async (lane, next_at);
CREATE INDEX exchange_async_state ON exchange_async (state, client);
CREATE INDEX exchange_async_ended ON exchange_async (ended_at);
