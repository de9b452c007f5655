-- The operator's side of the member directory: what the next version is made of, who asks to be taken in, and what was done by whom.
-- On a gateway that is not the operator's these tables stay empty. member: instance/class/member, or a subsystem of it with a fourth part.
CREATE TABLE exchange_member (
  id @id NOT NULL,
  name_fa TEXT NOT NULL,
  name_en TEXT NOT NULL,
  at @time NOT NULL,
  removed_at @time NOT NULL,
  PRIMARY KEY (id)
) WITHOUT ROWID;

CREATE TABLE exchange_gateway (
  server @id NOT NULL,
  address TEXT NOT NULL,
  witness TEXT NOT NULL,
  at @time NOT NULL,
  removed_at @time NOT NULL,
  known_version BIGINT NOT NULL,
  known_at @time NOT NULL,
  PRIMARY KEY (server)
) WITHOUT ROWID;

-- kind: sign (keyid is the SHA-256 of its SubjectPublicKeyInfo, kept in public_key) or tls (keyid is the SHA-256 of the certificate). Times of 0: none.
CREATE TABLE exchange_gateway_key (
  keyid @id NOT NULL,
  server TEXT NOT NULL,
  kind TEXT NOT NULL,
  public_key @blob NOT NULL,
  from_at @time NOT NULL,
  until_at @time NOT NULL,
  revoked_at @time NOT NULL,
  PRIMARY KEY (keyid)
) WITHOUT ROWID;

CREATE TABLE exchange_global_group (
  code @id NOT NULL,
  member TEXT NOT NULL,
  PRIMARY KEY (code, member)
) WITHOUT ROWID;

-- code_hash: hex of the SHA-256 of the one-time code's secret.
CREATE TABLE exchange_invite (
  code_hash @id NOT NULL,
  server TEXT NOT NULL,
  made_by TEXT NOT NULL,
  at @time NOT NULL,
  until_at @time NOT NULL,
  request TEXT NOT NULL,
  PRIMARY KEY (code_hash)
) WITHOUT ROWID;

-- decision: waiting, approved, refused.
CREATE TABLE exchange_request (
  id @id NOT NULL,
  server TEXT NOT NULL,
  address TEXT NOT NULL,
  keyid TEXT NOT NULL,
  public_key @blob NOT NULL,
  certificate TEXT NOT NULL,
  witness TEXT NOT NULL,
  at @time NOT NULL,
  decision TEXT NOT NULL,
  decided_by TEXT NOT NULL,
  decided_at @time NOT NULL,
  PRIMARY KEY (id)
) WITHOUT ROWID;

CREATE TABLE exchange_version (
  version BIGINT NOT NULL,
  at @time NOT NULL,
  PRIMARY KEY (version)
) WITHOUT ROWID;

-- Each is a leaf of this gateway's ledger; the payload is canonical JSON of subject and detail.
CREATE TABLE exchange_act (
  id @id NOT NULL,
  at @time NOT NULL,
  actor TEXT NOT NULL,
  act TEXT NOT NULL,
  subject TEXT NOT NULL,
  header TEXT NOT NULL,
  salt @blob NOT NULL,
  payload TEXT NOT NULL,
  leaf_hash @blob NOT NULL,
  PRIMARY KEY (id)
) WITHOUT ROWID;

CREATE INDEX exchange_act_at ON exchange_act (at);
