-- Instants are UTC microseconds, dates YYYY-MM-DD, accession numbers their eighteen digits as one number.
-- PostgreSQL gets a folder of its own with the same tables; the statements are shared.

CREATE TABLE filings (
    accession          INTEGER PRIMARY KEY,
    form               TEXT NOT NULL,
    filing_date        TEXT NOT NULL,
    accepted_at        INTEGER NOT NULL,
    seen_at            INTEGER NOT NULL,
    items              TEXT NOT NULL,               -- '3.01,9.01'
    state              TEXT NOT NULL,               -- found | read | parked | baseline | not_watched
    next_try_at        INTEGER,                     -- found only
    attempts           INTEGER NOT NULL DEFAULT 0,
    last_error         TEXT,
    refused_since      INTEGER,                     -- since when EDGAR has answered every try without the filing
    read_at            INTEGER,
    classifier_version INTEGER,
    told_unreadable    INTEGER NOT NULL DEFAULT 0
) STRICT;

-- The work queue.
CREATE INDEX filings_due ON filings (next_try_at) WHERE state = 'found';
CREATE INDEX filings_by_date ON filings (filing_date);

CREATE TABLE filers (
    accession INTEGER NOT NULL REFERENCES filings (accession),
    cik       INTEGER NOT NULL,
    name      TEXT NOT NULL,
    PRIMARY KEY (accession, cik)
) STRICT, WITHOUT ROWID;

CREATE TABLE documents (
    accession     INTEGER NOT NULL REFERENCES filings (accession),
    sequence      INTEGER NOT NULL,
    document_type TEXT NOT NULL,
    filename      TEXT,
    sha256        BLOB NOT NULL,                    -- of the bytes classified
    size_bytes    INTEGER NOT NULL,
    held_bytes    INTEGER NOT NULL,
    text          BLOB,                             -- zlib; only where an exchange is mentioned
    PRIMARY KEY (accession, sequence)
) STRICT;

CREATE TABLE events (
    accession   INTEGER NOT NULL REFERENCES filings (accession),
    ordinal     INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    status      TEXT NOT NULL,
    exchange    TEXT NOT NULL,
    letter_date TEXT,
    details     TEXT NOT NULL,                      -- the event as `explain --json` prints it
    PRIMARY KEY (accession, ordinal)
) STRICT;

CREATE TABLE alerts (
    id         TEXT PRIMARY KEY,                    -- made from the accession number
    accession  INTEGER NOT NULL REFERENCES filings (accession),
    created_at INTEGER NOT NULL,
    content    TEXT NOT NULL                        -- all that a mail is written from
) STRICT;

CREATE INDEX alerts_by_time ON alerts (created_at);

CREATE TABLE messages (
    id          INTEGER PRIMARY KEY,
    message_id  TEXT NOT NULL,
    recipient   TEXT NOT NULL,
    subject     TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    state       TEXT NOT NULL,                      -- waiting | sent | set_aside | dropped
    next_try_at INTEGER NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0,
    last_reply  TEXT,
    final_at    INTEGER,
    bytes       BLOB                                -- frozen at the first attempt, dropped after the final word
) STRICT;

CREATE INDEX messages_due ON messages (next_try_at) WHERE state = 'waiting';
CREATE INDEX messages_aside ON messages (id) WHERE state = 'set_aside';

CREATE TABLE notices (
    alert         TEXT NOT NULL REFERENCES alerts (id),
    recipient     TEXT NOT NULL,
    channel       TEXT NOT NULL,
    subscriptions TEXT NOT NULL,                    -- JSON list of names
    due_at        INTEGER NOT NULL,
    message       INTEGER NOT NULL REFERENCES messages (id),
    PRIMARY KEY (alert, recipient, channel)
) STRICT, WITHOUT ROWID;

CREATE INDEX notices_by_message ON notices (message);

-- One row for all processes that share this store.
CREATE TABLE request_budget (
    id                 INTEGER PRIMARY KEY CHECK (id = 1),
    next_free_at       INTEGER NOT NULL,            -- when the bucket is full again
    blocked_until      INTEGER NOT NULL,
    block_reason       TEXT NOT NULL,
    refused_user_agent TEXT NOT NULL,
    day                TEXT NOT NULL,               -- Eastern date that n_today counts
    n_today            INTEGER NOT NULL
) STRICT;

INSERT INTO request_budget VALUES (1, 0, 0, '', '', '', 0);

-- What is known of each query of the feed.
CREATE TABLE feed_queries (
    prefix      TEXT PRIMARY KEY,
    asked_as    TEXT,                               -- the `type` that brings what is wanted; null before first contact
    gap_since   INTEGER,                            -- rows seen from then on prove nothing: a pass did not join up
    deep_end    INTEGER,                            -- where the feed ended when it last ended without joining
    deep_at     INTEGER,                            -- when a pass last reached its depth
    oldest_at   INTEGER                             -- the oldest acceptance time that pass saw
) STRICT;

CREATE TABLE watched (
    key         TEXT PRIMARY KEY,                   -- '*' or a CIK
    since_date  TEXT NOT NULL                       -- only filings dated from then on are news
) STRICT;

-- Which watched issuers have a baseline in which query: a whole walk has recorded what was there already.
CREATE TABLE baselines (
    key    TEXT NOT NULL REFERENCES watched (key) ON DELETE CASCADE,
    prefix TEXT NOT NULL,
    PRIMARY KEY (key, prefix)
) STRICT, WITHOUT ROWID;

CREATE TABLE tickers (
    ticker      TEXT PRIMARY KEY,
    cik         INTEGER NOT NULL,
    name        TEXT NOT NULL,
    resolved_at INTEGER NOT NULL,
    warning     TEXT
) STRICT;

CREATE TABLE facts (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    at    INTEGER NOT NULL
) STRICT;
