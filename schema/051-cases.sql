-- Documents that go with a remark among colleagues: the citizen never sees them.
CREATE TABLE document_internal (
  id @id NOT NULL,
  tracking @id NOT NULL,
  PRIMARY KEY (id)
) WITHOUT ROWID;
CREATE INDEX document_internal_tracking ON document_internal (tracking);

-- Documents that no case names yet: they expire.
CREATE INDEX document_unbound ON document (at) WHERE tracking = '';
