-- Packs that were served, by the hash of their files: a request is read under the definition that it began with, wherever that stands.
CREATE TABLE pack (
  hash @id NOT NULL,
  code TEXT NOT NULL,
  first_at @time NOT NULL,
  last_at @time NOT NULL,
  PRIMARY KEY (hash)
) WITHOUT ROWID;

CREATE TABLE pack_file (
  pack @id NOT NULL,
  path TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  size BIGINT NOT NULL,
  PRIMARY KEY (pack, path)
) WITHOUT ROWID;

-- Bytes by zlib, once for equal files of all packs, in pieces of 256 KiB.
CREATE TABLE pack_chunk (
  sha256 TEXT NOT NULL,
  n BIGINT NOT NULL,
  bytes @blob NOT NULL,
  PRIMARY KEY (sha256, n)
) WITHOUT ROWID;

CREATE TABLE pack_service (
  service TEXT NOT NULL,
  version BIGINT NOT NULL,
  definition TEXT NOT NULL,
  pack @id NOT NULL,
  PRIMARY KEY (service, version, definition, pack)
) WITHOUT ROWID;

-- The definition under which requests of a version began, written with the first of them. Only in a demonstration does another (n)
-- follow, for requests since then.
CREATE TABLE pack_pin (
  service TEXT NOT NULL,
  version BIGINT NOT NULL,
  n BIGINT NOT NULL,
  definition TEXT NOT NULL,
  since @time NOT NULL,
  PRIMARY KEY (service, version, n)
) WITHOUT ROWID;
