-- Cases that left the system in bulk: one row a run, and its cases by parts of some hundreds in the order of (submitted_at, tracking); upto and
-- tracking are a part's last. The list of a part is the payload of its batch (case_access_batch), a leaf of the ledger, written before the
-- part is handed out. since, until: when the cases were submitted.
CREATE TABLE case_export (
  id TEXT NOT NULL,
  at @time NOT NULL,
  who TEXT NOT NULL,
  organisation TEXT NOT NULL,
  service TEXT NOT NULL,
  since @time NOT NULL,
  until @time NOT NULL,
  masked BIGINT NOT NULL,
  PRIMARY KEY (id)
) WITHOUT ROWID;
CREATE INDEX case_export_organisation ON case_export (organisation, at);

CREATE TABLE case_export_part (
  export TEXT NOT NULL,
  upto @time NOT NULL,
  tracking @id NOT NULL,
  batch TEXT NOT NULL,
  PRIMARY KEY (export, upto, tracking)
) WITHOUT ROWID;
