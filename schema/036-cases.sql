-- What a person consented to at a counter. kind: code (sent to their telephone; id is a digest, code a keyed digest) or slip (signed paper, by
-- its number). purpose: file (subject: digest of service, answers and person), known (registries may be asked for the form), see (a case may
-- be read; tracking). tries: codes typed. given_at: when the right code was typed, or the paper was filed with. mobile: a keyed digest.
CREATE TABLE case_consent (
  id @id NOT NULL,
  kind TEXT NOT NULL,
  purpose TEXT NOT NULL,
  code TEXT NOT NULL,
  subject TEXT NOT NULL,
  agent TEXT NOT NULL,
  organisation TEXT NOT NULL,
  office TEXT NOT NULL,
  mobile TEXT NOT NULL,
  tracking TEXT NOT NULL,
  tries BIGINT NOT NULL,
  made_at @time NOT NULL,
  expires_at @time NOT NULL,
  given_at @time NOT NULL,
  PRIMARY KEY (id)
) WITHOUT ROWID;
CREATE INDEX case_consent_mobile ON case_consent (mobile, made_at);
CREATE INDEX case_consent_agent ON case_consent (agent, made_at);
CREATE INDEX case_consent_made ON case_consent (made_at);

-- Cases that agents filed. consent: code, slip (its scan is a document of the case), kept (the slip lies in the office). seen: which
-- document of identity the agent saw, '' none.
CREATE TABLE case_counter (
  tracking @id NOT NULL,
  agent TEXT NOT NULL,
  organisation TEXT NOT NULL,
  office TEXT NOT NULL,
  service TEXT NOT NULL,
  consent TEXT NOT NULL,
  number TEXT NOT NULL,
  seen TEXT NOT NULL,
  at @time NOT NULL,
  PRIMARY KEY (tracking)
) WITHOUT ROWID;
CREATE INDEX case_counter_organisation ON case_counter (organisation, at, tracking);
CREATE INDEX case_counter_agent ON case_counter (agent, at, tracking);
