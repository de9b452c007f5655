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
