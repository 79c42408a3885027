-- Which letter each new event is about. The rows follow from events, filings and filers alone: those of an issuer are
-- written anew whenever another of its filings is read, and those of a store that had none, then as well.
CREATE TABLE letters (
    accession        INTEGER NOT NULL,
    ordinal          INTEGER NOT NULL,
    letter_accession INTEGER NOT NULL,              -- the earliest event of the letter stands for it
    letter_ordinal   INTEGER NOT NULL,
    relation         TEXT NOT NULL,                 -- first | repeat | correction | may_repeat
    details          TEXT NOT NULL,                 -- the link as `alerts --json` prints it
    PRIMARY KEY (accession, ordinal),
    FOREIGN KEY (accession, ordinal) REFERENCES events (accession, ordinal)
) STRICT, WITHOUT ROWID;

-- An issuer's filings.
CREATE INDEX filers_by_cik ON filers (cik);

-- JSON list: the events of the alert that the recipient asked for. Null before this was kept: then nobody knows what he
-- asked for, and he is told again.
ALTER TABLE notices ADD COLUMN events TEXT;

-- Who was not told of an alert, because other alerts had told him all that he asked for.
CREATE TABLE withheld (
    alert         TEXT NOT NULL REFERENCES alerts (id),
    recipient     TEXT NOT NULL,
    subscriptions TEXT NOT NULL,                    -- JSON list of names
    events        TEXT NOT NULL,                    -- JSON list: the events they asked for
    told_by       TEXT NOT NULL,                    -- JSON list of alerts
    PRIMARY KEY (alert, recipient)
) STRICT, WITHOUT ROWID;
