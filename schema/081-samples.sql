-- Measurements of the network, in a file of their own (SQLite) or in the main store (PostgreSQL).
-- network_now: how each office stands; hard: judged, shown: with windows and absences of the prober.
CREATE TABLE network_now (
  office @id NOT NULL,
  hard BIGINT NOT NULL,
  shown BIGINT NOT NULL,
  since @time NOT NULL,
  decided @time NOT NULL,
  incident BIGINT NOT NULL,
  flapping BIGINT NOT NULL,
  connected_at @time NOT NULL,
  PRIMARY KEY (office)
) WITHOUT ROWID;

-- Spans of states: each lasts until the next of its office.
CREATE TABLE network_span (
  office @id NOT NULL,
  since @time NOT NULL,
  state BIGINT NOT NULL,
  incident BIGINT NOT NULL,
  PRIMARY KEY (office, since)
) WITHOUT ROWID;
CREATE INDEX network_span_since ON network_span (since, office);
CREATE INDEX network_span_incident ON network_span (incident, office);

-- What changed, for readers that follow: kept for a day.
CREATE TABLE network_change (
  seq BIGINT NOT NULL,
  at @time NOT NULL,
  office TEXT NOT NULL,
  from_state BIGINT NOT NULL,
  to_state BIGINT NOT NULL,
  since @time NOT NULL,
  incident BIGINT NOT NULL,
  step TEXT NOT NULL,
  PRIMARY KEY (seq)
) WITHOUT ROWID;

-- Raw results of some seconds, in the form that blocks.c tells. id grows in the order in which rows are written (what a prober elsewhere caught up is written late: its
-- time is before that of others), for readers that follow.
CREATE TABLE network_raw (
  id BIGINT NOT NULL,
  at @time NOT NULL,
  prober TEXT NOT NULL,
  until @time NOT NULL,
  bytes @blob NOT NULL,
  PRIMARY KEY (id)
) @wide;
CREATE INDEX network_raw_at ON network_raw (at);

-- Sums of all offices: span 1 an hour, 2 a day, 3 a Jalali month; start: its first millisecond.
CREATE TABLE network_block (
  span BIGINT NOT NULL,
  start @time NOT NULL,
  bytes @blob NOT NULL,
  PRIMARY KEY (span, start)
) @wide;

-- Blocks to be made (again): what they are made of has changed.
CREATE TABLE network_dirty (
  span BIGINT NOT NULL,
  start @time NOT NULL,
  PRIMARY KEY (span, start)
) WITHOUT ROWID;

-- Counters of interfaces (SNMP), the last two readings.
CREATE TABLE network_interface (
  office @id NOT NULL,
  number BIGINT NOT NULL,
  name TEXT NOT NULL,
  up BIGINT NOT NULL,
  in_octets BIGINT NOT NULL,
  out_octets BIGINT NOT NULL,
  in_errors BIGINT NOT NULL,
  out_errors BIGINT NOT NULL,
  in_bps BIGINT NOT NULL,
  out_bps BIGINT NOT NULL,
  at @time NOT NULL,
  PRIMARY KEY (office, number)
) WITHOUT ROWID;
