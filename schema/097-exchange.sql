-- What a witness last saw of a log: the head it compares the next with. problem: why the last look refused, '' when all was well.
CREATE TABLE exchange_witnessed (
  origin @id NOT NULL,
  tree_size BIGINT NOT NULL,
  root TEXT NOT NULL,
  checkpoint TEXT NOT NULL,
  verifier_key TEXT NOT NULL,
  at @time NOT NULL,
  problem TEXT NOT NULL,
  problem_at @time NOT NULL,
  PRIMARY KEY (origin)
) WITHOUT ROWID;
