-- Telephones that an agent has bound to a person after seeing a document of identity: whoever signs in with the pair is `counter` assured.
-- person: key of the person; tracking: the case with whose submission it was bound.
CREATE TABLE bound_telephone (
  id @id NOT NULL,
  person TEXT NOT NULL,
  mobile TEXT NOT NULL,
  agent TEXT NOT NULL,
  organisation TEXT NOT NULL,
  office TEXT NOT NULL,
  tracking TEXT NOT NULL,
  at @time NOT NULL,
  expires_at @time NOT NULL,
  ended_at @time NOT NULL,
  ended_by TEXT NOT NULL,
  PRIMARY KEY (id)
) WITHOUT ROWID;
CREATE INDEX bound_telephone_person ON bound_telephone (person, at);
CREATE INDEX bound_telephone_organisation ON bound_telephone (organisation, at);

-- The office from which an agent works, kept from one session to the next.
CREATE TABLE staff_office (
  username @id NOT NULL,
  office TEXT NOT NULL,
  PRIMARY KEY (username)
) WITHOUT ROWID;
