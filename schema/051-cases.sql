-- Documents that go with a remark among colleagues: the citizen never sees them.
CREATE TABLE document_internal (
  id @id NOT NULL,
  tracking @id NOT NULL,
  PRIMARY KEY (id)
) WITHOUT ROWID;
CREATE INDEX document_internal_tracking ON document_internal (tracking);

-- Documents that no case names yet: they expire.
CREATE INDEX document_unbound ON document (at) WHERE tracking = '';

-- Messages about a case that did not arrive for certain, until somebody has seen to it. organisation: whose desk the case lies on.
CREATE TABLE case_undelivered (
  key @id NOT NULL,
  tracking @id NOT NULL,
  organisation TEXT NOT NULL,
  at @time NOT NULL,
  channel TEXT NOT NULL,
  state TEXT NOT NULL,
  noted_at @time NOT NULL,
  noted_by TEXT NOT NULL,
  noted_how TEXT NOT NULL,
  PRIMARY KEY (key)
) WITHOUT ROWID;
CREATE INDEX case_undelivered_desk ON case_undelivered (organisation, key) WHERE noted_at = 0;
CREATE INDEX case_undelivered_tracking ON case_undelivered (tracking);
