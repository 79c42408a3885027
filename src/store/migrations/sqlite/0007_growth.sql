-- Counts the changes to watched, baselines and tickers, so that a process knows when to read them again.
CREATE TABLE watch_changes (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    n  INTEGER NOT NULL
) STRICT;

INSERT INTO watch_changes VALUES (1, 0);

-- The past is read in the order of acceptance, out of a queue that can hold thirty years.
DROP INDEX filings_to_backfill;
CREATE INDEX filings_to_backfill ON filings (accepted_at, accession) WHERE state = 'backfill';
