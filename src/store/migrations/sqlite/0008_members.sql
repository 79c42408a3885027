-- What several processes on one store need, so that each filing and each mail is in one's hands at a time. A file has one
-- daemon and leaves these empty; PostgreSQL's 0008 is the same schema in one piece.

-- Processes at work. Instants here are the store's own clock.
CREATE TABLE members (
    id          INTEGER PRIMARY KEY,                -- drawn by lot
    name        TEXT NOT NULL,                      -- host and process number
    role        TEXT NOT NULL,                      -- run | once | backfill
    version     TEXT NOT NULL,
    config      TEXT NOT NULL,                      -- fingerprint of what is watched and for whom
    started_at  INTEGER NOT NULL,
    alive_until INTEGER NOT NULL                    -- later, others take over what it holds
) STRICT;

-- Who polls. Every write of a poll asks for the term it began in.
CREATE TABLE leader (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    member INTEGER,                                 -- null when it has left
    term   INTEGER NOT NULL,
    since  INTEGER NOT NULL
) STRICT;

INSERT INTO leader VALUES (1, NULL, 0, 0);

-- In whose hands a row is, while that member is alive.
ALTER TABLE filings ADD COLUMN claimed_by INTEGER;
ALTER TABLE messages ADD COLUMN claimed_by INTEGER;

-- Days that a worker is putting into the queue of backfills have no `at` yet.
CREATE TABLE backfilled_by_several (
    watched    TEXT NOT NULL,                       -- fingerprint of forms and issuers
    day        TEXT NOT NULL,
    at         INTEGER,                             -- null while it is put into the queue
    claimed_by INTEGER,
    PRIMARY KEY (watched, day)
) STRICT, WITHOUT ROWID;

INSERT INTO backfilled_by_several SELECT watched, day, at, NULL FROM backfilled;
DROP TABLE backfilled;
ALTER TABLE backfilled_by_several RENAME TO backfilled;
