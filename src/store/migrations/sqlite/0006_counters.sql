-- What is counted for the metrics, by names such as 'polls|good' and 'lag|seen|5000'.
CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    n    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The filings that were given up: few, and asked for by every look at the state.
CREATE INDEX filings_parked ON filings (accepted_at) WHERE state = 'parked';
