-- Schema 2: what pollers know of the lines that they have told.

-- All three are NULL where no poller watches the line. `digest` is that of the upstream's row, in
-- base 64 (as JSON carries bytes; SQLite has no function of its own for that before 3.41).
ALTER TABLE backorders ADD COLUMN digest TEXT;
ALTER TABLE backorders ADD COLUMN revision INTEGER;
ALTER TABLE backorders ADD COLUMN view TEXT;

-- The last event of each open line that is watched: pruning leaves it. What the condition names is
-- in the index too: then nothing but the index is read.
CREATE INDEX backorders_told ON backorders (seq, ended, revision)
WHERE ended IS NULL AND revision IS NOT NULL;

-- What was ever polled. `origin` is the configured source that did it last, `floor` the revision
-- that a new line begins with: above those of all lines that were forgotten.
CREATE TABLE scopes (
    source TEXT    PRIMARY KEY,
    origin TEXT    NOT NULL,
    floor  INTEGER NOT NULL,
    held   TEXT    NOT NULL -- JSON array of the subjects that are missing and held
) STRICT, WITHOUT ROWID;
