-- Alarms of goals that stand: kind as it is now, worst what people were told of, number of the alarm. What was: network_event of the kinds alarm and alarm_ended.
CREATE TABLE network_alarm (
  scope TEXT NOT NULL,
  code TEXT NOT NULL,
  number BIGINT NOT NULL,
  kind TEXT NOT NULL,
  worst TEXT NOT NULL,
  began @time NOT NULL,
  PRIMARY KEY (scope, code)
) WITHOUT ROWID;
CREATE TABLE network_alarm_told (
  alarm BIGINT NOT NULL,
  contact @id NOT NULL,
  PRIMARY KEY (alarm, contact)
) WITHOUT ROWID;
