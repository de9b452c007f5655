-- The messages that a gateway sent and received, signed. Each row is a leaf of the gateway's own ledger: the leaf's header and payload are made of
-- these columns (exchange/evidence.c), so that what is read is what was written. side: 0 consumer's, 1 producer's; part: 0 request, 1 answer.
-- base: what was signed (RFC 9421); signature: r and s, 64 bytes. content_kind: 0 digest only, 1 as it was, 2 compressed (zlib); beyond 16 KiB it
-- stands in pieces in exchange_content. directory: version of the member directory in use (0: none yet).
CREATE TABLE exchange_message (
  at @time NOT NULL,
  leaf_hash @blob NOT NULL,
  message_id TEXT NOT NULL,
  side BIGINT NOT NULL,
  part BIGINT NOT NULL,
  client TEXT NOT NULL,
  service TEXT NOT NULL,
  keyid TEXT NOT NULL,
  directory BIGINT NOT NULL,
  base @blob NOT NULL,
  signature @blob NOT NULL,
  salt @blob NOT NULL,
  content_size BIGINT NOT NULL,
  content_digest @blob NOT NULL,
  content_kind BIGINT NOT NULL,
  content @blob,
  PRIMARY KEY (at, leaf_hash)
) @wide;

CREATE INDEX exchange_message_id ON exchange_message (message_id);

CREATE TABLE exchange_content (
  at @time NOT NULL,
  leaf_hash @blob NOT NULL,
  n BIGINT NOT NULL,
  piece @blob NOT NULL,
  PRIMARY KEY (at, leaf_hash, n)
) @wide;

-- The signed directories by which the messages' keys were judged, compressed: each once, as long as a message here names it.
CREATE TABLE exchange_directory_text (
  version BIGINT NOT NULL,
  size BIGINT NOT NULL,
  packed @blob NOT NULL,
  PRIMARY KEY (version)
) @wide;
