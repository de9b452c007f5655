-- What a desk keeps beside its cases: absences and calls without a case, each a leaf of the ledger; salt and payload go when they are erased.
CREATE TABLE desk_log (
  id @id NOT NULL,
  organisation TEXT NOT NULL,
  what TEXT NOT NULL,
  at @time NOT NULL,
  salt @blob,
  payload TEXT,
  PRIMARY KEY (id)
) @wide;
CREATE INDEX desk_log_at ON desk_log (organisation, what, at);
CREATE INDEX desk_log_age ON desk_log (what, at);

-- Who is away and who stands in. Days as in the local calendar, both included; ended_at: came back earlier (0: not).
CREATE TABLE desk_absence (
  id @id NOT NULL,
  organisation TEXT NOT NULL,
  username TEXT NOT NULL,
  deputy TEXT NOT NULL,
  from_day BIGINT NOT NULL,
  until_day BIGINT NOT NULL,
  recorded_by TEXT NOT NULL,
  at @time NOT NULL,
  ended_at @time NOT NULL,
  PRIMARY KEY (id)
) WITHOUT ROWID;
CREATE INDEX desk_absence_organisation ON desk_absence (organisation, until_day, username);
CREATE INDEX desk_absence_deputy ON desk_absence (deputy, until_day);

-- Those who write about one desk at once meet here.
CREATE TABLE case_desk_meeting (
  organisation TEXT NOT NULL,
  n BIGINT NOT NULL,
  PRIMARY KEY (organisation)
) WITHOUT ROWID;

-- What a deputy did in a case in the place of somebody absent: they are never the second pair of eyes on it.
CREATE TABLE case_standin (
  tracking @id NOT NULL,
  username TEXT NOT NULL,
  absent TEXT NOT NULL,
  seq BIGINT NOT NULL,
  PRIMARY KEY (tracking, username, absent, seq)
) WITHOUT ROWID;

-- Searches that are kept under a name: a member's own, or ('' as username) the whole desk's.
CREATE TABLE desk_search (
  organisation TEXT NOT NULL,
  username TEXT NOT NULL,
  id @id NOT NULL,
  name TEXT NOT NULL,
  query TEXT NOT NULL,
  recorded_by TEXT NOT NULL,
  at @time NOT NULL,
  PRIMARY KEY (organisation, username, id)
) WITHOUT ROWID;

-- A letter of a case: its newest text; every step (with the text of each version) is a leaf.
CREATE TABLE case_letter (
  id @id NOT NULL,
  tracking @id NOT NULL,
  organisation TEXT NOT NULL,
  template TEXT NOT NULL,
  status TEXT NOT NULL,
  revision BIGINT NOT NULL,
  recipient TEXT NOT NULL,
  drafter TEXT NOT NULL,
  signer TEXT NOT NULL,
  number TEXT NOT NULL,
  day BIGINT NOT NULL,
  at @time NOT NULL,
  changed_at @time NOT NULL,
  content TEXT,
  PRIMARY KEY (id)
) @wide;
CREATE INDEX case_letter_case ON case_letter (tracking, at, id);
CREATE INDEX case_letter_sent ON case_letter (recipient, status, changed_at, id);

CREATE TABLE case_letter_step (
  letter @id NOT NULL,
  n BIGINT NOT NULL,
  at @time NOT NULL,
  step TEXT NOT NULL,
  who TEXT NOT NULL,
  salt @blob,
  payload TEXT,
  PRIMARY KEY (letter, n)
) @wide;

-- Whose paraph or signature a letter has or awaits: a person, or ('' as who) anybody with the role. open: 1 awaited now, 0 not (yet, or any more).
CREATE TABLE case_letter_turn (
  letter @id NOT NULL,
  n BIGINT NOT NULL,
  organisation TEXT NOT NULL,
  kind TEXT NOT NULL,
  who TEXT NOT NULL,
  roles BIGINT NOT NULL,
  open BIGINT NOT NULL,
  done_by TEXT NOT NULL,
  done_for TEXT NOT NULL,
  done_at @time NOT NULL,
  PRIMARY KEY (letter, n)
) WITHOUT ROWID;
CREATE INDEX case_letter_turn_open ON case_letter_turn (organisation, open, letter, n);

-- The register of letters: the last number of a year, and which letter has which.
CREATE TABLE letter_register (
  organisation TEXT NOT NULL,
  year BIGINT NOT NULL,
  last BIGINT NOT NULL,
  PRIMARY KEY (organisation, year)
) WITHOUT ROWID;
CREATE TABLE letter_number (
  organisation TEXT NOT NULL,
  year BIGINT NOT NULL,
  number BIGINT NOT NULL,
  letter @id NOT NULL,
  tracking @id NOT NULL,
  at @time NOT NULL,
  PRIMARY KEY (organisation, year, number)
) WITHOUT ROWID;
