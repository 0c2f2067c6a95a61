-- Schema 3: a name for the journal, what persons want of sinks, and a position for everything in
-- quarantine.

-- What tells this journal from every other one; a copy of the file keeps it.
CREATE TABLE identity (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    journal TEXT    NOT NULL
) STRICT;

INSERT INTO identity (one, journal) VALUES (1, lower(hex(randomblob(16))));

-- Since when a sink holds still; NULL: it does not.
ALTER TABLE cursors ADD COLUMN paused INTEGER;

-- What a sink gets once more: events `first` to `last`, of which all up to `done` are behind it.
-- With `done` at `last` it is over, and remembered as the sink's last one.
-- `origin` is the configured source whose events they are; NULL: all of them.
CREATE TABLE replays (
    sink      TEXT    PRIMARY KEY,
    first     INTEGER NOT NULL,
    last      INTEGER NOT NULL,
    done      INTEGER NOT NULL,
    origin    TEXT,
    requested INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Whether a parked event is to be offered once more. What the condition names is in the index too:
-- then nothing but the index is read.
ALTER TABLE parked ADD COLUMN retrying INTEGER NOT NULL DEFAULT 0;

CREATE INDEX parked_retrying ON parked (sink, seq, retrying) WHERE retrying;

-- Positions are never given twice, whatever leaves quarantine: who goes through it page by page
-- passes nothing that comes meanwhile. (`rowid` would be given anew.)
CREATE TABLE positioned (
    position   INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT    NOT NULL UNIQUE, -- Refusal.id
    source     TEXT    NOT NULL,        -- the configured source
    system     TEXT    NOT NULL,
    origin     TEXT    NOT NULL,        -- Message.origin: the queue or path
    first_seen INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL,
    times      INTEGER NOT NULL,
    problems   BLOB    NOT NULL,        -- JSON
    attributes BLOB    NOT NULL,        -- JSON
    body       BLOB    NOT NULL
) STRICT;

INSERT INTO positioned (
    id, source, system, origin, first_seen, last_seen, times, problems, attributes, body
)
SELECT id, source, system, origin, first_seen, last_seen, times, problems, attributes, body
FROM quarantine
ORDER BY rowid;

DROP TABLE quarantine;
ALTER TABLE positioned RENAME TO quarantine;
