-- Archives of the log of messages (exchange/archive.c). An archive is a file; state: verified (read back whole, its messages are being taken out of the
-- log), closed (they are out). Found by the first eight bytes of a SHA-256: of "m" and a message's id, or of "d" and a directory's version.
CREATE TABLE exchange_archive (
  n BIGINT NOT NULL,
  name TEXT NOT NULL,
  state TEXT NOT NULL,
  from_at @time NOT NULL,
  until_at @time NOT NULL,
  messages BIGINT NOT NULL,
  bytes BIGINT NOT NULL,
  sha256 TEXT NOT NULL,
  made_at @time NOT NULL,
  PRIMARY KEY (n)
) WITHOUT ROWID;

CREATE TABLE exchange_archived (
  key8 BIGINT NOT NULL,
  archive BIGINT NOT NULL,
  place BIGINT NOT NULL,
  PRIMARY KEY (key8, archive, place)
) WITHOUT ROWID;

-- How large the log is: counted up to this message, less what was taken out since.
CREATE TABLE exchange_log_size (
  name @id NOT NULL,
  at @time NOT NULL,
  leaf_hash @blob NOT NULL,
  messages BIGINT NOT NULL,
  bytes BIGINT NOT NULL,
  PRIMARY KEY (name)
) WITHOUT ROWID;

-- What the log keeps of a service's messages, of ours or of another's that is asked through here: digests alone (1) or bodies too (0). Else as it was published.
CREATE TABLE exchange_log_policy (
  service @id NOT NULL,
  digest_only BIGINT NOT NULL,
  PRIMARY KEY (service)
) WITHOUT ROWID;
-- The operator's key rolls over: keyid is the next one. version and text (compressed): the directory that the key before signed and that names the next,
-- by which a gateway that was away follows; 0 until it is published. hurry: 1 does not wait for gateways that were seen lately.
CREATE TABLE exchange_handover (
  keyid @id NOT NULL,
  at @time NOT NULL,
  hurry BIGINT NOT NULL,
  version BIGINT NOT NULL,
  size BIGINT NOT NULL,
  packed @blob,
  PRIMARY KEY (keyid)
) @wide;

CREATE INDEX exchange_handover_version ON exchange_handover (version);
