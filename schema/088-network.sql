-- Goals as people set them, in millionths: scope 'level' (of a class of offices) or 'organisation' (of all its offices). What was before: network_event of kind goal.
CREATE TABLE network_goal (
  scope TEXT NOT NULL,
  code TEXT NOT NULL,
  goal BIGINT NOT NULL,
  reason TEXT NOT NULL,
  who TEXT NOT NULL,
  at @time NOT NULL,
  PRIMARY KEY (scope, code)
) WITHOUT ROWID;

-- What people did to incidents, for those who watch: told by who probes, kept for a day.
CREATE TABLE network_step (
  id BIGINT NOT NULL,
  incident BIGINT NOT NULL,
  step TEXT NOT NULL,
  at @time NOT NULL,
  PRIMARY KEY (id)
) WITHOUT ROWID;

-- Since when an office or a village has been known not to be connected.
CREATE TABLE network_waiting (
  code @id NOT NULL,
  since @time NOT NULL,
  PRIMARY KEY (code)
) WITHOUT ROWID;

-- Coverage as it was at the end of each day (of today: so far): of counties, and of the province by its code.
CREATE TABLE network_coverage (
  day BIGINT NOT NULL,
  place TEXT NOT NULL,
  offices BIGINT NOT NULL,
  connected BIGINT NOT NULL,
  villages_large BIGINT NOT NULL,
  villages_connected BIGINT NOT NULL,
  PRIMARY KEY (day, place)
) WITHOUT ROWID;
