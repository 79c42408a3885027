-- Everyone who subscribed, and whether mail may go there. It may not where silenced is set, whatever a configuration says.
CREATE TABLE addresses (
    id           INTEGER PRIMARY KEY AUTOINCREMENT, -- in links, so none is ever given again
    address      TEXT NOT NULL UNIQUE,              -- lower case; once erased, 'erased:' and a keyed hash
    silenced     TEXT,                              -- unsubscribed | bounced | erased
    silenced_at  INTEGER,
    silenced_why TEXT
) STRICT;

CREATE TABLE subscriptions (
    id           TEXT PRIMARY KEY,                  -- 'config:' and a name, or letters and digits
    origin       TEXT NOT NULL,                     -- config | cli | web
    address      INTEGER NOT NULL REFERENCES addresses (id),
    state        TEXT NOT NULL,                     -- pending | active | ended
    terms        TEXT NOT NULL,                     -- JSON, as a configuration writes them
    created_at   INTEGER NOT NULL,
    confirmed_at INTEGER,
    ended_at     INTEGER,
    paused_until INTEGER                            -- no mail before
) STRICT;

CREATE INDEX subscriptions_by_address ON subscriptions (address);

-- Counts the changes to both tables, so that a process knows when to read them again.
CREATE TABLE subscription_changes (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    n  INTEGER NOT NULL
) STRICT;

INSERT INTO subscription_changes VALUES (1, 0);

-- A message that is held back by its recipient's wish: a digest, or quiet hours.
ALTER TABLE messages ADD COLUMN held_until INTEGER;
-- Of the digests, each carries any number of notices.
ALTER TABLE messages ADD COLUMN is_digest INTEGER NOT NULL DEFAULT 0;

CREATE INDEX messages_digests ON messages (recipient, held_until) WHERE is_digest = 1;

-- Mails that came back, one row each.
CREATE TABLE bounces (
    message    INTEGER PRIMARY KEY,                 -- its number in the outbox
    address    INTEGER NOT NULL REFERENCES addresses (id),
    bounced_at INTEGER NOT NULL,
    is_hard    INTEGER NOT NULL,
    words      TEXT NOT NULL
) STRICT;

CREATE INDEX bounces_by_address ON bounces (address);
