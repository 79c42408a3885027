-- When each source first showed a filing; seen_at is the first of them all.
ALTER TABLE filings ADD COLUMN feed_at INTEGER;
ALTER TABLE filings ADD COLUMN index_at INTEGER;
UPDATE filings SET feed_at = seen_at;

-- 0 while accepted_at is no more than the day an index gives.
ALTER TABLE filings ADD COLUMN accepted_known INTEGER NOT NULL DEFAULT 1;

-- When watching an issuer, or looking back further, was asked for: days reconciled before are reconciled again.
ALTER TABLE watched ADD COLUMN added_at INTEGER NOT NULL DEFAULT 0;

-- The completeness ledger: each filing date and how it was reconciled with EDGAR's index of the day.
CREATE TABLE days (
    day           TEXT PRIMARY KEY,
    state         TEXT NOT NULL,                    -- open | closed | empty: no index, though later days have one
    expected_at   INTEGER NOT NULL,                 -- from when on its index was to be looked for
    next_check_at INTEGER,                          -- null: not again
    n_checks      INTEGER NOT NULL DEFAULT 0,       -- times it was closed
    index_size    TEXT NOT NULL DEFAULT '',         -- as listed when it was read last
    written_at    INTEGER,                          -- when EDGAR wrote the index read last
    reconciled_at INTEGER,
    n_listed      INTEGER NOT NULL DEFAULT 0,       -- filings of the forms watched
    n_watched     INTEGER NOT NULL DEFAULT 0,       -- of them, those of watched issuers
    n_missed      INTEGER NOT NULL DEFAULT 0,       -- of those, what the feed had not shown
    n_bad         INTEGER NOT NULL DEFAULT 0        -- rows that could not be read
) STRICT;

-- The queue of backfills, and the days they have put into it for a watchlist and forms.
CREATE INDEX filings_to_backfill ON filings (next_try_at) WHERE state = 'backfill';

CREATE TABLE backfilled (
    watched TEXT NOT NULL,                          -- fingerprint of forms and issuers
    day     TEXT NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (watched, day)
) STRICT, WITHOUT ROWID;

CREATE INDEX days_due ON days (next_check_at) WHERE next_check_at IS NOT NULL;
