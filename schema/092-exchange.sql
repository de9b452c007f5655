-- What one gateway knows of its own side: services, who may call them, and the subsystems that live behind it.
CREATE TABLE exchange_service (
  id @id NOT NULL,
  kind TEXT NOT NULL,
  url TEXT,
  openapi_url TEXT,
  title_fa TEXT,
  title_en TEXT,
  digest_only BIGINT NOT NULL,
  timeout_ms BIGINT NOT NULL,
  ca_file TEXT,
  any_certificate BIGINT NOT NULL,
  PRIMARY KEY (id)
) WITHOUT ROWID;
-- A notice stands here while a service does not answer, also for one that this process answers by itself.
CREATE TABLE exchange_notice (
  service @id NOT NULL,
  notice TEXT NOT NULL,
  at @time NOT NULL,
  PRIMARY KEY (service)
) WITHOUT ROWID;
-- One row (name: gateway) while the whole gateway is under maintenance; until_at 0: no end is known.
CREATE TABLE exchange_maintenance (
  name @id NOT NULL,
  notice TEXT NOT NULL,
  until_at @time NOT NULL,
  at @time NOT NULL,
  PRIMARY KEY (name)
) WITHOUT ROWID;
CREATE TABLE exchange_endpoint (
  service @id NOT NULL,
  method TEXT NOT NULL,
  path TEXT NOT NULL,
  PRIMARY KEY (service, method, path)
) WITHOUT ROWID;
CREATE TABLE exchange_subsystem (
  id @id NOT NULL,
  tls TEXT NOT NULL,
  certificates TEXT NOT NULL,
  PRIMARY KEY (id)
) WITHOUT ROWID;
CREATE TABLE exchange_grant (
  id @id NOT NULL,
  subject TEXT NOT NULL,
  service @id NOT NULL,
  method TEXT NOT NULL,
  path TEXT NOT NULL,
  purpose TEXT,
  tracking TEXT,
  from_at @time NOT NULL,
  until_at @time NOT NULL,
  made_at @time NOT NULL,
  made_by TEXT NOT NULL,
  revoked_at @time,
  revoked_by TEXT,
  revoked_why TEXT,
  used_at @time,
  uses BIGINT NOT NULL,
  PRIMARY KEY (id)
) WITHOUT ROWID;
CREATE INDEX exchange_grant_made ON exchange_grant (made_at, id);
CREATE TABLE exchange_group (
  code @id NOT NULL,
  member TEXT NOT NULL,
  PRIMARY KEY (code, member)
) WITHOUT ROWID;
-- Grows with each change of the tables above, so that the serving process sees what a command has changed.
CREATE TABLE exchange_change (
  name @id NOT NULL,
  version BIGINT NOT NULL,
  PRIMARY KEY (name)
) WITHOUT ROWID;
