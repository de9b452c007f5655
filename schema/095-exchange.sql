-- One row for each hour, side, service and client: what monitoring shows beyond the memory of the process.
CREATE TABLE exchange_hour (
  hour BIGINT NOT NULL,
  side TEXT NOT NULL,
  service @id NOT NULL,
  client @id NOT NULL,
  count BIGINT NOT NULL,
  errors BIGINT NOT NULL,
  bytes_in BIGINT NOT NULL,
  bytes_out BIGINT NOT NULL,
  buckets TEXT NOT NULL,
  PRIMARY KEY (hour, side, service, client)
) WITHOUT ROWID;
