-- Files that messages were archived to, out of the store. sha256: hex of the file. Times: of the messages in it.
CREATE TABLE exchange_archive (
  file TEXT NOT NULL,
  made_at @time NOT NULL,
  first_at @time NOT NULL,
  last_at @time NOT NULL,
  messages BIGINT NOT NULL,
  sha256 TEXT NOT NULL,
  PRIMARY KEY (file)
) WITHOUT ROWID;
