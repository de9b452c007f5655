-- Figures for those in charge, kept up by a job that reads the ledger from place to place (observatory_state: cursor).
-- observatory_sum: what happened, by span (1 a day, 2 a Jalali month; 3 and 4 the same of one member of staff,
-- 5 and 6 of all organisations together, 8 and 10 a month and a year of one organisation whatever the service
-- and the place, of what organisations are compared by), its first day, organisation, member
-- of staff (or ''), service and county (or ''). counts: names and numbers, `name=n;…` in order of names.
CREATE TABLE observatory_state (
  name TEXT NOT NULL,
  value BIGINT NOT NULL,
  PRIMARY KEY (name)
) WITHOUT ROWID;
CREATE TABLE observatory_sum (
  span BIGINT NOT NULL,
  start BIGINT NOT NULL,
  organisation TEXT NOT NULL,
  unit TEXT NOT NULL,
  service TEXT NOT NULL,
  place TEXT NOT NULL,
  counts TEXT NOT NULL,
  PRIMARY KEY (span, start, organisation, unit, service, place)
) @wide;
-- What is open now: one row a case, taken away when it closes.
CREATE TABLE observatory_open (
  tracking @id NOT NULL,
  organisation TEXT NOT NULL,
  service TEXT NOT NULL,
  place TEXT NOT NULL,
  assignee TEXT NOT NULL,
  calendar TEXT NOT NULL,
  state TEXT NOT NULL,
  stopped BIGINT NOT NULL,
  start_ord BIGINT NOT NULL,
  legal_ord BIGINT NOT NULL,
  PRIMARY KEY (tracking)
) WITHOUT ROWID;
CREATE INDEX observatory_open_at ON observatory_open (organisation, service, place, assignee, calendar, stopped, start_ord, legal_ord);
