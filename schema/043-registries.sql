-- Whole registries taken out. An export is one row and one leaf of the ledger (registry_change of the same ref), however many records it had: whose
-- records were in it is found by who they are about and when they changed. ended: when the last record was handed out, or could be at the latest.
-- since: only records that changed since then.
CREATE TABLE registry_export (
  id @id NOT NULL,
  registry TEXT NOT NULL,
  at @time NOT NULL,
  ended @time NOT NULL,
  since @time NOT NULL,
  who TEXT NOT NULL,
  organisation TEXT NOT NULL,
  format TEXT NOT NULL,
  why TEXT NOT NULL,
  PRIMARY KEY (id)
) WITHOUT ROWID;
CREATE INDEX registry_export_registry ON registry_export (registry, at);

-- Whom a record was about before it changed.
CREATE TABLE registry_person_past (
  person TEXT NOT NULL,
  registry TEXT NOT NULL,
  ref @id NOT NULL,
  since @time NOT NULL,
  until @time NOT NULL,
  PRIMARY KEY (person, registry, ref, until)
) WITHOUT ROWID;
CREATE INDEX registry_person_past_ref ON registry_person_past (ref);
