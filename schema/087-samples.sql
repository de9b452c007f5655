-- What came of the checks beside the echo, since when: number in the order of the plan, what is asked (without communities), cause as network/inner.h tells.
CREATE TABLE network_check (
  office @id NOT NULL,
  number BIGINT NOT NULL,
  what TEXT NOT NULL,
  cause TEXT NOT NULL,
  since @time NOT NULL,
  PRIMARY KEY (office, number)
) WITHOUT ROWID;
