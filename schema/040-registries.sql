-- Records of the pack's registries: the newest version, and every change as a leaf of the ledger. ref is made of registry and identity
-- by a keyed hash, so it may stand in the ledger's headers. identity: the attributes that make a record one, as canonical JSON.
CREATE TABLE registry_record (
  ref @id NOT NULL,
  registry TEXT NOT NULL,
  key TEXT NOT NULL,
  identity TEXT NOT NULL,
  version BIGINT NOT NULL,
  valid BIGINT NOT NULL,
  synthetic BIGINT NOT NULL,
  at @time NOT NULL,
  attributes TEXT,
  PRIMARY KEY (ref)
) WITHOUT ROWID;
CREATE INDEX registry_record_key ON registry_record (registry, key, ref);

-- event: what caused the change, once: an outbox effect of a case, or batch and row of an import. change: create, update, revoke, restore.
CREATE TABLE registry_change (
  ref @id NOT NULL,
  version BIGINT NOT NULL,
  at @time NOT NULL,
  change TEXT NOT NULL,
  source TEXT NOT NULL,
  tracking TEXT NOT NULL,
  event TEXT NOT NULL,
  header TEXT NOT NULL,
  salt @blob,
  payload TEXT,
  leaf_hash @blob NOT NULL,
  PRIMARY KEY (ref, version)
) WITHOUT ROWID;

-- Effects that were applied already, also those that changed nothing.
CREATE TABLE registry_event (
  event TEXT NOT NULL,
  ref TEXT NOT NULL,
  PRIMARY KEY (event)
) WITHOUT ROWID;

-- Whom a record is about, and since when: keyed hashes of the national ids in it.
CREATE TABLE registry_person (
  person TEXT NOT NULL,
  registry TEXT NOT NULL,
  ref @id NOT NULL,
  since @time NOT NULL,
  PRIMARY KEY (person, registry, ref)
) WITHOUT ROWID;
CREATE INDEX registry_person_ref ON registry_person (ref, person);
