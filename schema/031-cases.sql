-- Calendars other than a desk's own among the cases that it holds or held: their days are counted apart.
CREATE TABLE case_desk_calendar (
  organisation TEXT NOT NULL,
  calendar TEXT NOT NULL,
  PRIMARY KEY (organisation, calendar)
) WITHOUT ROWID;
