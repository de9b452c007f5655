-- Who may ask a data service of the pack, for what, and until when: services that fill in their forms (source 'pack'), and organisations whose
-- request for data was approved (source 'case'; event: the effect that made it, applied once). A gateway knows the right as id-generation: a right
-- that was taken back and is given again is another one there. subject: the service's code, or the tracking code of the request.
CREATE TABLE data_right (
  id @id NOT NULL,
  generation BIGINT NOT NULL,
  asker TEXT NOT NULL,
  subsystem TEXT NOT NULL,
  provider TEXT NOT NULL,
  service TEXT NOT NULL,
  attributes TEXT NOT NULL,
  purpose_fa TEXT NOT NULL,
  purpose_en TEXT NOT NULL,
  basis TEXT NOT NULL,
  source TEXT NOT NULL,
  subject TEXT NOT NULL,
  at @time NOT NULL,
  until @time NOT NULL,
  revoked_at @time NOT NULL,
  revoked_by TEXT NOT NULL,
  why TEXT NOT NULL,
  reviewed_at @time NOT NULL,
  reviewed_by TEXT NOT NULL,
  changed @time NOT NULL,
  PRIMARY KEY (id)
) WITHOUT ROWID;
CREATE INDEX data_right_provider ON data_right (provider, id);
CREATE INDEX data_right_asker ON data_right (asker, id);
CREATE INDEX data_right_changed ON data_right (changed, id);
