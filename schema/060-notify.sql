-- Messages to people. state: queued, sending, sent, shown (no gateway is set), failed, unclear; by reports of carriers delivered,
-- undeliverable. subject: of mail. urgent: a one-time code, whose body is
-- wiped once it has left.
CREATE TABLE notify_message (
  key @id NOT NULL,
  recipient TEXT NOT NULL,
  channel TEXT NOT NULL,
  lang TEXT NOT NULL,
  body TEXT NOT NULL,
  subject TEXT NOT NULL,
  urgent BIGINT NOT NULL,
  created_at @time NOT NULL,
  next_at @time NOT NULL,
  expires_at @time NOT NULL,
  tries BIGINT NOT NULL,
  state TEXT NOT NULL,
  changed_at @time NOT NULL,
  error TEXT NOT NULL,
  PRIMARY KEY (key)
) @wide;

CREATE INDEX notify_message_due ON notify_message (channel, urgent, next_at) WHERE state = 'queued';
CREATE INDEX notify_message_sending ON notify_message (changed_at) WHERE state = 'sending';
CREATE INDEX notify_message_trouble ON notify_message (changed_at) WHERE state IN ('failed', 'unclear', 'undeliverable');

CREATE INDEX notify_message_created ON notify_message (created_at);
