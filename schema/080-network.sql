-- What people decide and rely on about the network. Measurements are in the samples' own file (081).
-- network_key: a number for each office that was ever known, for the blocks of measurements.
CREATE TABLE network_key (
  code @id NOT NULL,
  id BIGINT NOT NULL,
  PRIMARY KEY (code)
) WITHOUT ROWID;
CREATE UNIQUE INDEX network_key_id ON network_key (id);

-- Names and numbers: revision (grows with every change of what is to be probed).
CREATE TABLE network_value (
  name TEXT NOT NULL,
  value BIGINT NOT NULL,
  PRIMARY KEY (name)
) WITHOUT ROWID;

-- Offices beyond the pack (added 1) and what the store says about those of the pack. NULL: as in the pack.
CREATE TABLE network_node (
  code @id NOT NULL,
  added BIGINT NOT NULL,
  organisation TEXT,
  place TEXT,
  level TEXT,
  uplinks TEXT,
  name_fa TEXT,
  name_en TEXT,
  lat TEXT,
  lon TEXT,
  address TEXT,
  interval_s BIGINT,
  checks TEXT,
  prober TEXT,
  active BIGINT NOT NULL,
  PRIMARY KEY (code)
) WITHOUT ROWID;

-- ended 0: open. told: -1 nothing yet, 0 the opening, 1–3 the escalations, 9 the end. hand: 0 no, 1 wanted, 2 done (tracking).
CREATE TABLE network_incident (
  id BIGINT NOT NULL,
  kind TEXT NOT NULL,
  office TEXT NOT NULL,
  prober TEXT NOT NULL,
  organisation TEXT NOT NULL,
  place TEXT NOT NULL,
  began @time NOT NULL,
  decided @time NOT NULL,
  ended @time NOT NULL,
  offices BIGINT NOT NULL,
  services BIGINT NOT NULL,
  population BIGINT NOT NULL,
  reached BIGINT NOT NULL,
  acknowledged_at @time NOT NULL,
  acknowledged_by TEXT NOT NULL,
  told BIGINT NOT NULL,
  hand BIGINT NOT NULL,
  hand_by TEXT NOT NULL,
  hand_note TEXT NOT NULL,
  tracking TEXT NOT NULL,
  PRIMARY KEY (id)
) WITHOUT ROWID;
CREATE INDEX network_incident_open ON network_incident (ended, id);
CREATE INDEX network_incident_office ON network_incident (office, id);
CREATE INDEX network_incident_began ON network_incident (began, id);
CREATE INDEX network_incident_told ON network_incident (told, id);

-- Steps of incidents and acts of people: each a leaf of the ledger. incident 0: about something else (subject).
CREATE TABLE network_event (
  id @id NOT NULL,
  incident BIGINT NOT NULL,
  at @time NOT NULL,
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  who TEXT NOT NULL,
  note TEXT NOT NULL,
  detail TEXT NOT NULL,
  salt @blob NOT NULL,
  PRIMARY KEY (id)
) WITHOUT ROWID;
CREATE INDEX network_event_incident ON network_event (incident, at, id);

CREATE TABLE network_told (
  incident BIGINT NOT NULL,
  step BIGINT NOT NULL,
  level BIGINT NOT NULL,
  who TEXT NOT NULL,
  channel TEXT NOT NULL,
  at @time NOT NULL,
  PRIMARY KEY (incident, step, level, who, channel)
) WITHOUT ROWID;

CREATE TABLE network_window (
  id BIGINT NOT NULL,
  office TEXT NOT NULL,
  from_at @time NOT NULL,
  to_at @time NOT NULL,
  reason TEXT NOT NULL,
  who TEXT NOT NULL,
  at @time NOT NULL,
  ended_at @time NOT NULL,
  ended_by TEXT NOT NULL,
  PRIMARY KEY (id)
) WITHOUT ROWID;
CREATE INDEX network_window_to ON network_window (to_at, id);
CREATE INDEX network_window_office ON network_window (office, id);

-- Probers elsewhere: key is the public half in base64; next: number of the sample that is wanted next.
CREATE TABLE network_prober (
  name @id NOT NULL,
  key TEXT NOT NULL,
  last @time NOT NULL,
  next BIGINT NOT NULL,
  PRIMARY KEY (name)
) WITHOUT ROWID;
