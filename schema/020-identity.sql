-- Members of staff. password: an argon2id string, '' when the person has left. totp: the secret under AES-256-GCM, '' when there is none.
CREATE TABLE staff (
  username @id NOT NULL,
  name TEXT NOT NULL,
  password TEXT NOT NULL,
  totp TEXT NOT NULL,
  created_at @time NOT NULL,
  changed_at @time NOT NULL,
  PRIMARY KEY (username)
) WITHOUT ROWID;

CREATE TABLE staff_role (
  username @id NOT NULL,
  organisation @id NOT NULL,
  role BIGINT NOT NULL,
  created_at @time NOT NULL,
  PRIMARY KEY (username, organisation, role)
) WITHOUT ROWID;

CREATE INDEX staff_role_organisation ON staff_role (organisation, username);
