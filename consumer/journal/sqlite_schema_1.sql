-- Schema 1: the journal as it begins.
--
-- Moments are microseconds since 1970-01-01 UTC. `origin` is the name of a configured source,
-- `source` the CloudEvents attribute.

PRAGMA application_id = 0x424F434A; -- "BOCJ", so that `file` and we can tell a journal

-- The log. Sequence numbers are handed out within the commit, one after the other: gaps come from
-- pruning only. AUTOINCREMENT remembers the highest one when everything is pruned.
CREATE TABLE events (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    id       TEXT    NOT NULL UNIQUE,
    recorded INTEGER NOT NULL,
    origin   TEXT    NOT NULL,
    source   TEXT    NOT NULL,
    type     TEXT    NOT NULL,
    subject  TEXT    NOT NULL,
    body     BLOB    NOT NULL  -- Event.encode(), UTF-8
) STRICT;

CREATE INDEX events_recorded ON events (recorded); -- pruning
CREATE INDEX events_origin ON events (origin);     -- reading one source; every index ends in seq

-- How far each sink has read.
CREATE TABLE cursors (
    sink TEXT    PRIMARY KEY,
    seq  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Events that a sink refused for good. They outlive pruning until a person decides.
CREATE TABLE parked (
    sink   TEXT    NOT NULL,
    seq    INTEGER NOT NULL,
    reason TEXT    NOT NULL,
    parked INTEGER NOT NULL,
    PRIMARY KEY (sink, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX parked_seq ON parked (seq);

-- Payloads that could not be understood; the same bytes are the same row.
CREATE TABLE quarantine (
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

-- The present state of each order line; changed in the commit that appends the event.
CREATE TABLE backorders (
    source       TEXT    NOT NULL,
    subject      TEXT    NOT NULL,
    origin       TEXT    NOT NULL,
    type         TEXT    NOT NULL,
    order_number TEXT,
    line         TEXT,
    item         TEXT,
    description  TEXT,
    quantity     TEXT,
    delay        TEXT,
    expected     TEXT,
    since        INTEGER NOT NULL,
    updated      INTEGER NOT NULL,
    ended        INTEGER,
    seq          INTEGER NOT NULL,
    PRIMARY KEY (source, subject)
) STRICT, WITHOUT ROWID;

CREATE INDEX backorders_open ON backorders (since) WHERE ended IS NULL;
CREATE INDEX backorders_ended ON backorders (ended) WHERE ended IS NOT NULL;

-- Single numbers. `pruned`: no event up to here is missing but by pruning, none above it is
-- missing at all. `probes`: counted up to prove that the journal can be written.
CREATE TABLE marks (
    name  TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO marks (name, value) VALUES ('pruned', 0), ('probes', 0);
