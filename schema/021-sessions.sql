-- The fast store. token, challenge and code are digests; subjects of limits and lockouts are keyed digests.
CREATE TABLE session (
  token @id NOT NULL,
  username TEXT NOT NULL,
  national_id TEXT NOT NULL,
  mobile TEXT NOT NULL,
  assurance BIGINT NOT NULL,
  created_at @time NOT NULL,
  expires_at @time NOT NULL,
  PRIMARY KEY (token)
) WITHOUT ROWID;

CREATE INDEX session_username ON session (username);

CREATE INDEX session_expires ON session (expires_at);

CREATE TABLE one_time_code (
  challenge @id NOT NULL,
  code TEXT NOT NULL,
  national_id TEXT NOT NULL,
  mobile TEXT NOT NULL,
  tries BIGINT NOT NULL,
  expires_at @time NOT NULL,
  PRIMARY KEY (challenge)
) WITHOUT ROWID;

CREATE INDEX one_time_code_expires ON one_time_code (expires_at);

-- full_at: when the subject's bucket will be full again.
CREATE TABLE use_limit (
  subject @id NOT NULL,
  full_at @time NOT NULL,
  PRIMARY KEY (subject)
) WITHOUT ROWID;

CREATE INDEX use_limit_full ON use_limit (full_at);

CREATE TABLE lockout (
  subject @id NOT NULL,
  fails BIGINT NOT NULL,
  until_at @time NOT NULL,
  forget_at @time NOT NULL,
  PRIMARY KEY (subject)
) WITHOUT ROWID;

CREATE INDEX lockout_forget ON lockout (forget_at);

-- The newest time step whose TOTP code was accepted: none is accepted twice.
CREATE TABLE totp_step (
  username @id NOT NULL,
  step BIGINT NOT NULL,
  PRIMARY KEY (username)
) WITHOUT ROWID;
