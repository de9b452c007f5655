-- Letters that tell before something ends: who was written to, about what, how many days before (30, 7, 1). sent 0: somebody is at it,
-- or nobody knows whether it went: then it is tried again, a few times.
CREATE TABLE exchange_reminded (
  kind @id NOT NULL,
  id @id NOT NULL,
  until_at @time NOT NULL,
  stage BIGINT NOT NULL,
  address TEXT NOT NULL,
  at @time NOT NULL,
  tries BIGINT NOT NULL,
  sent BIGINT NOT NULL,
  PRIMARY KEY (kind, id, until_at, stage, address)
) WITHOUT ROWID;
