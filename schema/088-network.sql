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
