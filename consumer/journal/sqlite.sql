-- Every statement of the SQLite journal, by name.
--
-- Batches travel as ONE parameter, a JSON array, and come back as ONE row. That is not for beauty:
-- Python gives up its interpreter lock around every step of a statement, and under load a thread
-- waits milliseconds to get it back. One step a batch, and not one a row, is what keeps the
-- journal fast while the event loop is busy.

-- --- append --------------------------------------------------------------------------------

-- name: head
-- The highest sequence number ever given out.
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0);

-- name: known_ids
-- Which of these event ids the journal holds, and its `head`. ids: JSON array. Gives a JSON array.
SELECT
    json_group_array(id),
    coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)
FROM events WHERE id IN (SELECT value FROM json_each(:ids));

-- name: insert_events
-- Append new events after `head`. rows: JSON array of sqlite_rows.Row; bodies: all of them in one.
-- MATERIALIZED: json_each writes a value out anew each time that it is named.
WITH rows AS MATERIALIZED (SELECT key, value FROM json_each(:rows))
INSERT INTO events (seq, id, recorded, origin, source, type, subject, body)
SELECT
    :head + 1 + key,
    json_extract(value, '$[0]'),
    :recorded,
    json_extract(value, '$[1]'),
    json_extract(value, '$[2]'),
    json_extract(value, '$[3]'),
    json_extract(value, '$[4]'),
    substr(:bodies, json_extract(value, '$[5]') + 1, json_extract(value, '$[6]'))
FROM rows;

-- name: update_backorders
-- Carry the state of order lines along, event by event, with what a poll knows of them. `since`
-- stays while a line is open and begins anew when it comes back; `ended` is when it was first
-- cleared. json_extract ends a text before a NUL character: the event has it whole.
-- settled: a state told up to this event gives way to a later fact only; NULL: to every event.
WITH rows AS MATERIALIZED (SELECT key, value FROM json_each(:rows))
INSERT INTO backorders (
    source, subject, origin, type, order_number, line, item, description, quantity, delay,
    expected, since, updated, ended, seq, digest, revision, view
)
SELECT
    json_extract(value, '$[2]'),
    json_extract(value, '$[4]'),
    json_extract(value, '$[1]'),
    json_extract(value, '$[3]'),
    json_extract(value, '$[7]'),
    json_extract(value, '$[8]'),
    json_extract(value, '$[9]'),
    json_extract(value, '$[10]'),
    json_extract(value, '$[11]'),
    json_extract(value, '$[12]'),
    json_extract(value, '$[13]'),
    :recorded,
    json_extract(value, '$[14]'),
    iif(json_extract(value, '$[3]') = 'backorder.cleared', :recorded, NULL),
    :head + 1 + key,
    json_extract(value, '$[15].digest'),
    json_extract(value, '$[15].revision'),
    json_extract(value, '$[15].view')
FROM rows
WHERE true -- tells the parser that ON CONFLICT is no join constraint
ON CONFLICT (source, subject) DO UPDATE SET
    origin = excluded.origin,
    type = excluded.type,
    order_number = excluded.order_number,
    line = excluded.line,
    item = excluded.item,
    description = excluded.description,
    quantity = excluded.quantity,
    delay = excluded.delay,
    expected = excluded.expected,
    since = iif(ended IS NOT NULL AND excluded.ended IS NULL, excluded.since, since),
    updated = excluded.updated,
    ended = iif(excluded.ended IS NULL, NULL, coalesce(ended, excluded.ended)),
    seq = excluded.seq,
    digest = coalesce(excluded.digest, digest),
    revision = coalesce(excluded.revision, revision),
    view = coalesce(excluded.view, view)
WHERE
    :settled IS NULL
    OR excluded.updated > updated
    OR (excluded.updated = updated AND seq > :settled);

-- name: watch_lines
-- What a poll knows of lines that it told before and says nothing new of. lines: JSON object,
-- subject to model.Known.
WITH known AS MATERIALIZED ( -- or else the whole scope is compared with each of them
    SELECT
        :source AS source,
        key AS subject,
        json_extract(value, '$.digest') AS digest,
        json_extract(value, '$.revision') AS revision,
        json_extract(value, '$.view') AS view
    FROM json_each(:lines)
)
UPDATE backorders SET digest = known.digest, revision = known.revision, view = known.view
FROM known
WHERE backorders.source = known.source AND backorders.subject = known.subject;

-- name: watch_scope
-- Who polls a scope, and which of its lines are held. held: JSON array; NULL leaves them.
INSERT INTO scopes (source, origin, floor, held)
VALUES (:source, :origin, 0, coalesce(:held, '[]'))
ON CONFLICT (source) DO UPDATE SET origin = excluded.origin, held = coalesce(:held, held);

-- name: rename_lines
-- The lines of a scope follow it to another configured source.
UPDATE backorders SET origin = :origin WHERE source = :source AND revision IS NOT NULL;

-- name: quarantine
-- Keep a refused payload. The same bytes again: count, and keep the newest reasons.
INSERT INTO quarantine (
    id, source, system, origin, first_seen, last_seen, times, problems, attributes, body
)
VALUES (:id, :source, :system, :origin, :now, :now, 1, :problems, :attributes, :body)
ON CONFLICT (id) DO UPDATE SET
    last_seen = excluded.last_seen,
    times = times + 1,
    problems = excluded.problems;

-- --- cursors -------------------------------------------------------------------------------

-- name: enroll
-- Give a sink that has none a cursor: before the oldest event, or at the head.
INSERT INTO cursors (sink, seq)
VALUES (
    :sink,
    iif(:from_oldest, coalesce((SELECT min(seq) - 1 FROM events), :head), :head)
)
ON CONFLICT (sink) DO NOTHING;

-- name: cursor
SELECT seq FROM cursors WHERE sink = :sink;

-- name: extend_replay
-- Before `advance`: a replay of all that a sink had passed goes on to the end of the batch that it
-- had in hand. One that is over stays as it was. steps: JSON object, sink to sequence number.
UPDATE replays SET last = max(last, steps.value)
FROM json_each(:steps) AS steps
WHERE
    replays.sink = steps.key
    AND done < last
    AND last = (SELECT seq FROM cursors WHERE cursors.sink = steps.key);

-- name: advance
-- steps: as above.
INSERT INTO cursors (sink, seq) SELECT key, value FROM json_each(:steps)
WHERE true -- as in `update_backorders`
ON CONFLICT (sink) DO UPDATE SET seq = excluded.seq;

-- name: park
-- Remember that a sink refused an event; refused once more, the newest reason counts, and it is
-- not to be offered any more.
INSERT INTO parked (sink, seq, reason, parked) VALUES (:sink, :seq, :reason, :now)
ON CONFLICT (sink, seq) DO UPDATE SET
    reason = excluded.reason,
    parked = excluded.parked,
    retrying = 0;

-- name: park_again
-- A parked event was refused once more. One that was discarded meanwhile stays discarded.
UPDATE parked SET reason = :reason, parked = :now, retrying = 0 WHERE sink = :sink AND seq = :seq;

-- --- reading -------------------------------------------------------------------------------

-- name: read
-- A page of the log after `after`: as many events as fit into max_bytes, and one in any case.
-- Gives a JSON array of what stands in the columns, and all bodies in one.
WITH page AS (
    SELECT seq, body FROM events WHERE seq > :after ORDER BY seq LIMIT :limit
),
sized AS (
    SELECT
        seq,
        length(body) AS size,
        sum(length(body)) OVER (ORDER BY seq ROWS UNBOUNDED PRECEDING) AS total
    FROM page
)
SELECT
    json_group_array(json_array(
        size, json_array(seq, recorded, origin, id, source, type, subject)
    )),
    CAST(group_concat(CAST(body AS TEXT), '') AS BLOB)
FROM sized CROSS JOIN events USING (seq)
WHERE total <= :max_bytes OR total = size OR size IS NULL; -- damage must not pass unseen

-- name: read_origin
-- The same for the events of one configured source.
WITH page AS (
    SELECT seq, body FROM events
    WHERE origin = :origin AND seq > :after ORDER BY seq LIMIT :limit
),
sized AS (
    SELECT
        seq,
        length(body) AS size,
        sum(length(body)) OVER (ORDER BY seq ROWS UNBOUNDED PRECEDING) AS total
    FROM page
)
SELECT
    json_group_array(json_array(
        size, json_array(seq, recorded, origin, id, source, type, subject)
    )),
    CAST(group_concat(CAST(body AS TEXT), '') AS BLOB)
FROM sized CROSS JOIN events USING (seq)
WHERE total <= :max_bytes OR total = size OR size IS NULL; -- damage must not pass unseen

-- name: ends
-- The journal's ends, the number of quarantined payloads, up to where it was pruned, and what tells
-- it from other journals.
SELECT
    coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0),
    coalesce((SELECT min(seq) FROM events), 0),
    (SELECT count(*) FROM quarantine),
    (SELECT value FROM marks WHERE name = 'pruned'),
    (SELECT journal FROM identity);

-- name: cursors
-- Every cursor with what is before it, and what persons want of the sink. Nothing above `pruned` is
-- missing, so that is a subtraction; only what pruning left standing below is counted one by one,
-- for a sink that is still there. That may be much, scattered over the whole file: it is counted in
-- an index.
SELECT
    cursors.sink,
    seq,
    max(0, :head - max(seq, :pruned))
    + iif(cursors.seq >= :pruned, 0, (
        SELECT count(*) FROM events INDEXED BY events_recorded
        WHERE events.seq > cursors.seq AND events.seq <= :pruned
    )),
    (SELECT recorded FROM events WHERE events.seq > cursors.seq ORDER BY events.seq LIMIT 1),
    (SELECT count(*) FROM parked WHERE parked.sink = cursors.sink),
    paused,
    replays.first,
    replays.last,
    replays.done,
    replays.origin,
    replays.requested
FROM cursors LEFT JOIN replays ON replays.sink = cursors.sink
ORDER BY cursors.sink;

-- name: quarantined
-- A page of what is quarantined behind the position `after`, with bodies or without. Of a body that
-- is not wanted nothing is read: its size stands in the row's header.
SELECT
    position, id, source, system, origin, first_seen, last_seen, times, problems, attributes,
    length(body), iif(:bodies, body, x'')
FROM quarantine
WHERE position > :after
ORDER BY position
LIMIT :limit;

-- name: quarantined_like
-- The same for ids that start with a prefix, found by their index (hence the +). ids are
-- hexadecimal: all of those sort below prefix || 'g'. Not in order: bodies need no sorting here.
WITH page AS MATERIALIZED (
    SELECT position FROM quarantine
    WHERE id >= :prefix AND id < :prefix || 'g' AND +position > :after
    ORDER BY position
    LIMIT :limit
)
SELECT
    position, id, source, system, origin, first_seen, last_seen, times, problems, attributes,
    length(body), iif(:bodies, body, x'')
FROM page CROSS JOIN quarantine USING (position);

-- name: parked
-- A page of what is parked, behind a pair of sequence number and sink, with bodies or without. Of a
-- body that is not wanted nothing is read.
SELECT
    parked.sink, parked.seq, parked.reason, parked.parked, parked.retrying, events.recorded,
    events.origin, events.id, events.source, events.type, events.subject,
    iif(:bodies, events.body, x'')
FROM parked LEFT JOIN events ON events.seq = parked.seq
WHERE (parked.seq, parked.sink) > (:after_seq, :after_sink)
ORDER BY parked.seq, parked.sink
LIMIT :limit;

-- name: parked_of
-- The same for one sink.
SELECT
    parked.sink, parked.seq, parked.reason, parked.parked, parked.retrying, events.recorded,
    events.origin, events.id, events.source, events.type, events.subject,
    iif(:bodies, events.body, x'')
FROM parked LEFT JOIN events ON events.seq = parked.seq
WHERE parked.sink = :sink AND (parked.seq, parked.sink) > (:after_seq, :after_sink)
ORDER BY parked.seq
LIMIT :limit;

-- name: open_backorders
-- Order lines that are on backorder, those waiting longest first: the front of an index.
SELECT
    source, subject, origin, type, order_number, line, item, description, quantity, delay,
    expected, since, updated, ended, seq
FROM backorders INDEXED BY backorders_open
WHERE ended IS NULL
ORDER BY since, seq
LIMIT :limit;

-- name: backorders
-- The same with the ended ones, or of one configured source, which may be few among many: it costs
-- less to read every line once than to look each up in that order.
SELECT
    source, subject, origin, type, order_number, line, item, description, quantity, delay,
    expected, since, updated, ended, seq
FROM backorders
WHERE (:with_ended OR ended IS NULL) AND (:origin IS NULL OR origin = :origin)
ORDER BY since, seq
LIMIT :limit;

-- name: watched
-- What is known of the lines of a scope: a JSON array for each field, all in one order.
SELECT
    json_group_array(subject),
    json_group_array(digest),
    json_group_array(revision),
    json_group_array(view),
    json_group_array(ended IS NOT NULL)
FROM backorders
WHERE source = :source AND revision IS NOT NULL;

-- name: scope
SELECT held, floor, origin FROM scopes WHERE source = :source;

-- name: told
-- The last events of some lines, of those that are still held. subjects: JSON array. Gives a JSON
-- array of [subject, size of the body], and all bodies in one.
SELECT
    json_group_array(json_array(backorders.subject, length(body))),
    CAST(group_concat(CAST(body AS TEXT), '') AS BLOB)
FROM
    json_each(:subjects)
    CROSS JOIN backorders ON backorders.source = :source AND backorders.subject = json_each.value
    CROSS JOIN events ON events.seq = backorders.seq;

-- name: scopes
-- Every scope with the number of its open lines, by view.
SELECT scopes.source, scopes.origin, coalesce(backorders.view, ''), count(backorders.subject)
FROM
    scopes LEFT JOIN backorders
    ON backorders.source = scopes.source AND ended IS NULL AND revision IS NOT NULL
GROUP BY scopes.source, backorders.view
ORDER BY scopes.source, backorders.view;

-- --- repair --------------------------------------------------------------------------------

-- name: quarantined_ids
-- Which of these ids are in quarantine. ids: JSON array. Gives a JSON array.
SELECT json_group_array(id) FROM quarantine WHERE id IN (SELECT value FROM json_each(:ids));

-- name: leave_quarantine
-- ids: JSON array.
DELETE FROM quarantine WHERE id IN (SELECT value FROM json_each(:ids));

-- name: refuse_again
-- The payload `whole` was tried again, and this is refused of it. A part of it came when it came.
-- What is in quarantine already, such as the payload itself, gets the newest reasons; it did not
-- come once more.
INSERT INTO quarantine (
    id, source, system, origin, first_seen, last_seen, times, problems, attributes, body
)
SELECT :id, source, system, origin, first_seen, last_seen, 1, :problems, attributes, :body
FROM quarantine
WHERE id = :whole
ON CONFLICT (id) DO UPDATE SET problems = excluded.problems;

-- name: sinks
SELECT json_group_array(sink) FROM cursors;

-- name: pause
-- From now on, or since before.
UPDATE cursors SET paused = coalesce(paused, :now) WHERE sink = :sink;

-- name: resume
UPDATE cursors SET paused = NULL WHERE sink = :sink;

-- name: since
-- The first event that was recorded since a moment. The clock may have gone back in between: that
-- is the lowest number, not the earliest moment, and takes half a second for a million events.
SELECT min(seq) FROM events INDEXED BY events_recorded WHERE recorded >= :since;

-- name: held_between
-- Whether an event of a range is held.
SELECT EXISTS (SELECT 1 FROM events WHERE seq BETWEEN :first AND :last);

-- name: held_between_of
-- The same for the events of one configured source.
SELECT EXISTS (SELECT 1 FROM events WHERE origin = :origin AND seq BETWEEN :first AND :last);

-- name: begin_replay
-- It takes the place of one that is over.
REPLACE INTO replays (sink, first, last, done, origin, requested)
VALUES (:sink, :first, :last, :done, :origin, :requested);

-- name: replay
-- The replay that is under way.
SELECT first, last, done, origin, requested FROM replays WHERE sink = :sink AND done < last;

-- name: end_replay
-- One that is over is remembered.
DELETE FROM replays WHERE sink = :sink AND done < last;

-- name: replayed
-- A replay has come as far as `done`, if it is still this one and under way: it may have been ended
-- meanwhile, and another one begun.
UPDATE replays SET done = :done
WHERE
    sink = :sink
    AND requested = :requested
    AND first = :first
    AND last = :last
    AND done < last
    AND origin IS :origin;

-- name: parked_seqs
-- Which of these events a sink has parked. seqs: JSON array. Gives a JSON array.
SELECT json_group_array(seq) FROM parked
WHERE sink = :sink AND seq IN (SELECT value FROM json_each(:seqs));

-- name: retry_parked
-- Of these parked events of a sink, those that are still held are to be offered once more. seqs:
-- JSON array.
UPDATE parked SET retrying = 1
WHERE
    sink = :sink
    AND seq IN (SELECT value FROM json_each(:seqs))
    AND EXISTS (SELECT 1 FROM events WHERE events.seq = parked.seq);

-- name: retry_all_parked
-- The same for all of a sink.
UPDATE parked SET retrying = 1
WHERE sink = :sink AND EXISTS (SELECT 1 FROM events WHERE events.seq = parked.seq);

-- name: unpark
-- Take these events of a sink out of the park. seqs: JSON array.
DELETE FROM parked WHERE sink = :sink AND seq IN (SELECT value FROM json_each(:seqs));

-- name: unpark_all
-- Take all events of a sink out of the park.
DELETE FROM parked WHERE sink = :sink;

-- name: orders
-- Since when a sink is paused, and how many parked events it is to be offered once more: all that
-- are marked are held, since pruning leaves what is parked.
SELECT
    paused,
    (
        SELECT count(*) FROM parked INDEXED BY parked_retrying
        WHERE parked.sink = cursors.sink AND retrying
    )
FROM cursors
WHERE sink = :sink;

-- name: retrying
-- Parked events of a sink that are to be offered once more: as many as fit into max_bytes, and one
-- in any case. Not in order: bodies need no sorting here.
WITH page AS (
    SELECT parked.seq, length(body) AS size
    FROM parked INDEXED BY parked_retrying CROSS JOIN events ON events.seq = parked.seq
    WHERE sink = :sink AND retrying
    ORDER BY parked.seq
    LIMIT :limit
),
sized AS (
    SELECT seq, size, sum(size) OVER (ORDER BY seq ROWS UNBOUNDED PRECEDING) AS total FROM page
)
SELECT
    parked.sink, parked.seq, parked.reason, parked.parked, parked.retrying, events.recorded,
    events.origin, events.id, events.source, events.type, events.subject, events.body
FROM
    sized
    CROSS JOIN parked ON parked.sink = :sink AND parked.seq = sized.seq
    CROSS JOIN events ON events.seq = sized.seq
WHERE total <= :max_bytes OR total = size OR size IS NULL; -- damage must not pass unseen

-- --- pruning -------------------------------------------------------------------------------

-- name: passed
-- The sequence that every one of these sinks has passed, and the replay too that it has under way;
-- 0 if one of them has no cursor. (Of several values, one of which is NULL, min gives NULL.)
SELECT min(coalesce(min(cursors.seq, replays.done), cursors.seq, 0))
FROM
    json_each(:sinks)
    LEFT JOIN cursors ON cursors.sink = json_each.value
    LEFT JOIN replays ON replays.sink = cursors.sink AND done < last;

-- name: prunable
-- A step's worth of old events, and which of them may go: all but those that are parked, and the
-- last ones of open lines that are watched. Gives a JSON array of [recorded, seq, may go].
--
-- What has to stay is looked at again by every pruning, but once only: each step begins where the
-- one before it ended. Where a sink is down for long, what it has before it is not looked at: the
-- range ends with the moment of the first such event. (Had the clock gone back, what is older by
-- number but later by the clock goes only when the sink has passed that event.)
WITH page AS (
    SELECT recorded, seq FROM events INDEXED BY events_recorded
    WHERE
        (recorded, seq) > (:after_recorded, :after_seq)
        AND recorded <= min(:before - 1, coalesce(
            (SELECT recorded FROM events WHERE seq > :passed ORDER BY seq LIMIT 1), :before
        ))
    ORDER BY recorded, seq
    LIMIT :step
)
SELECT json_group_array(json_array(
    recorded,
    seq,
    seq <= :passed
    AND NOT EXISTS (SELECT 1 FROM parked WHERE parked.seq = page.seq)
    AND NOT EXISTS (
        SELECT 1 FROM backorders
        WHERE backorders.seq = page.seq AND ended IS NULL AND revision IS NOT NULL
    )
))
FROM page;

-- name: delete_events
DELETE FROM events WHERE seq IN (SELECT value FROM json_each(:seqs));

-- name: mark_pruned
UPDATE marks SET value = max(value, :seq) WHERE name = 'pruned';

-- name: raise_floors
-- No line of a scope begins anew with a revision that a line to be forgotten has had.
UPDATE scopes SET floor = max(scopes.floor, gone.floor)
FROM (
    SELECT source, max(revision) + 1 AS floor FROM (
        SELECT source, revision FROM backorders
        WHERE ended IS NOT NULL AND ended < :before
        ORDER BY ended, source, subject
        LIMIT :step
    )
    WHERE revision IS NOT NULL
    GROUP BY source
) AS gone
WHERE scopes.source = gone.source;

-- name: forget_ended
-- Order lines that ended that long ago have no events any more either. The same ones as above.
DELETE FROM backorders WHERE (source, subject) IN (
    SELECT source, subject FROM backorders
    WHERE ended IS NOT NULL AND ended < :before
    ORDER BY ended, source, subject
    LIMIT :step
);

-- --- proof ---------------------------------------------------------------------------------

-- name: probe
UPDATE marks SET value = value + 1 WHERE name = 'probes';
