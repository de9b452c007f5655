-- A case: its newest state, and the event that it began with (first_…); case_event has those after it. data: the answers where they are no
-- longer those that were submitted.
CREATE TABLE cases (
  tracking @id NOT NULL,
  service TEXT NOT NULL,
  service_version BIGINT NOT NULL,
  owner TEXT NOT NULL,
  provider TEXT NOT NULL,
  holder TEXT NOT NULL,
  state TEXT NOT NULL,
  result BIGINT NOT NULL,
  version BIGINT NOT NULL,
  submitted_at @time NOT NULL,
  changed_at @time NOT NULL,
  closed_at @time NOT NULL,
  applicant TEXT NOT NULL,
  pair TEXT NOT NULL,
  beneficiary TEXT NOT NULL,
  submitted_by TEXT NOT NULL,
  submitter TEXT NOT NULL,
  intake BIGINT NOT NULL,
  assurance BIGINT NOT NULL,
  mobile TEXT NOT NULL,
  lang BIGINT NOT NULL,
  assignee TEXT NOT NULL,
  parent TEXT NOT NULL,
  inquiry TEXT NOT NULL,
  data TEXT,
  key_hash @blob NOT NULL,
  body_hash @blob NOT NULL,
  calendar TEXT NOT NULL,
  start_day BIGINT NOT NULL,
  norm_ord BIGINT NOT NULL,
  legal_ord BIGINT NOT NULL,
  state_day BIGINT NOT NULL,
  state_at @time NOT NULL,
  state_legal_ord BIGINT NOT NULL,
  prior_state TEXT NOT NULL,
  stopped_ord BIGINT NOT NULL,
  stopped_days BIGINT NOT NULL,
  extended BIGINT NOT NULL,
  appealed BIGINT NOT NULL,
  decider TEXT NOT NULL,
  escalated BIGINT NOT NULL,
  next_ord BIGINT NOT NULL,
  letter_no TEXT NOT NULL,
  letter_date TEXT NOT NULL,
  rating BIGINT NOT NULL,
  first_state TEXT NOT NULL,
  first_role TEXT NOT NULL,
  first_organisation TEXT NOT NULL,
  first_header TEXT NOT NULL,
  first_salt @blob,
  first_payload TEXT,
  first_leaf @blob NOT NULL,
  PRIMARY KEY (tracking)
) @wide;
CREATE INDEX cases_desk ON cases (holder, result, legal_ord, submitted_at, tracking, state, service);
CREATE INDEX cases_assignee ON cases (assignee, result, legal_ord, submitted_at, tracking) WHERE assignee <> '';
CREATE INDEX cases_due ON cases (calendar, next_ord, submitted_at, tracking);

-- filed: when the case was submitted, so that what is done to cases of one time is written to one place.
CREATE TABLE case_event (
  filed @time NOT NULL,
  tracking @id NOT NULL,
  seq BIGINT NOT NULL,
  action TEXT NOT NULL,
  at @time NOT NULL,
  from_state TEXT NOT NULL,
  to_state TEXT NOT NULL,
  role TEXT NOT NULL,
  organisation TEXT NOT NULL,
  header TEXT NOT NULL,
  salt @blob,
  payload TEXT,
  leaf_hash @blob NOT NULL,
  PRIMARY KEY (filed, tracking, seq)
) WITHOUT ROWID;

CREATE TABLE case_person (
  person TEXT NOT NULL,
  ord BIGINT NOT NULL,
  tracking @id NOT NULL,
  PRIMARY KEY (person, ord, tracking)
) WITHOUT ROWID;

CREATE TABLE case_term (
  organisation TEXT NOT NULL,
  term TEXT NOT NULL,
  ord BIGINT NOT NULL,
  tracking @id NOT NULL,
  PRIMARY KEY (organisation, term, ord, tracking)
) WITHOUT ROWID;

CREATE TABLE case_child (
  parent @id NOT NULL,
  tracking @id NOT NULL,
  inquiry TEXT NOT NULL,
  open BIGINT NOT NULL,
  PRIMARY KEY (parent, tracking)
) WITHOUT ROWID;

CREATE TABLE case_key (
  tracking @id NOT NULL,
  key_hash @blob NOT NULL,
  body_hash @blob NOT NULL,
  seq BIGINT NOT NULL,
  PRIMARY KEY (tracking, key_hash)
) WITHOUT ROWID;

CREATE TABLE case_reservation (
  name TEXT NOT NULL,
  tracking @id NOT NULL,
  PRIMARY KEY (name)
) WITHOUT ROWID;

CREATE TABLE case_outbox (
  id TEXT NOT NULL,
  at @time NOT NULL,
  kind TEXT NOT NULL,
  tracking @id NOT NULL,
  payload TEXT NOT NULL,
  tries BIGINT NOT NULL,
  PRIMARY KEY (id)
) WITHOUT ROWID;
CREATE INDEX case_outbox_at ON case_outbox (at, id);

CREATE TABLE case_access (
  person TEXT NOT NULL,
  at @time NOT NULL,
  id TEXT NOT NULL,
  tracking @id NOT NULL,
  who TEXT NOT NULL,
  organisation TEXT NOT NULL,
  basis TEXT NOT NULL,
  batch TEXT NOT NULL,
  PRIMARY KEY (person, at, id)
) WITHOUT ROWID;
CREATE TABLE case_access_new (
  id TEXT NOT NULL,
  person TEXT NOT NULL,
  at @time NOT NULL,
  PRIMARY KEY (id)
) WITHOUT ROWID;
CREATE TABLE case_access_batch (
  batch TEXT NOT NULL,
  at @time NOT NULL,
  salt @blob NOT NULL,
  payload TEXT NOT NULL,
  PRIMARY KEY (batch)
) WITHOUT ROWID;

CREATE TABLE calendar_change (
  calendar TEXT NOT NULL,
  day BIGINT NOT NULL,
  closed BIGINT NOT NULL,
  title_fa TEXT NOT NULL,
  title_en TEXT NOT NULL,
  at @time NOT NULL,
  PRIMARY KEY (calendar, day)
) WITHOUT ROWID;
CREATE TABLE calendar_log (
  id TEXT NOT NULL,
  at @time NOT NULL,
  salt @blob NOT NULL,
  payload TEXT NOT NULL,
  PRIMARY KEY (id)
) WITHOUT ROWID;

CREATE TABLE document (
  id @id NOT NULL,
  sha256 TEXT NOT NULL,
  size BIGINT NOT NULL,
  media_type TEXT NOT NULL,
  filename TEXT NOT NULL,
  person TEXT NOT NULL,
  tracking TEXT NOT NULL,
  at @time NOT NULL,
  PRIMARY KEY (id)
) WITHOUT ROWID;
CREATE INDEX document_tracking ON document (tracking);
CREATE INDEX document_sha256 ON document (sha256);
CREATE TABLE document_chunk (
  sha256 TEXT NOT NULL,
  n BIGINT NOT NULL,
  bytes @blob NOT NULL,
  PRIMARY KEY (sha256, n)
) WITHOUT ROWID;

CREATE TABLE draft (
  owner TEXT NOT NULL,
  service TEXT NOT NULL,
  at @time NOT NULL,
  data TEXT NOT NULL,
  PRIMARY KEY (owner, service)
) WITHOUT ROWID;
CREATE INDEX draft_at ON draft (at, owner, service);

-- What members of staff tell each other about a case; its citizen never sees it. Erased (payload and salt) with the case.
CREATE TABLE case_remark (
  tracking @id NOT NULL,
  id TEXT NOT NULL,
  at @time NOT NULL,
  organisation TEXT NOT NULL,
  salt @blob,
  payload TEXT,
  PRIMARY KEY (tracking, id)
) @wide;

CREATE TABLE case_meta (
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (name)
) WITHOUT ROWID;
