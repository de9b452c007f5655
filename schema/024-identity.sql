-- Which citizen a member of staff is, where their office has said so: nobody decides a case of their own. person: the key of a person in cases.
CREATE TABLE staff_person (
  username @id NOT NULL,
  person TEXT NOT NULL,
  PRIMARY KEY (username)
) WITHOUT ROWID;
