-- Programs that are told of incidents, and what is still to be delivered to them. state: waiting, done, failed; claimed_until: a node is at it.
CREATE TABLE network_hook (
  id @id NOT NULL,
  organisation TEXT NOT NULL,
  url TEXT NOT NULL,
  at @time NOT NULL,
  who TEXT NOT NULL,
  PRIMARY KEY (id)
) WITHOUT ROWID;
CREATE TABLE network_hook_call (
  id @id NOT NULL,
  hook @id NOT NULL,
  body TEXT NOT NULL,
  state TEXT NOT NULL,
  tries BIGINT NOT NULL,
  due @time NOT NULL,
  at @time NOT NULL,
  done_at @time NOT NULL,
  status BIGINT NOT NULL,
  error TEXT NOT NULL,
  PRIMARY KEY (id)
) @wide;
CREATE INDEX network_hook_call_due ON network_hook_call (due) WHERE state = 'waiting';
CREATE INDEX network_hook_call_of ON network_hook_call (hook, at);
