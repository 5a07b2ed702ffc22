-- The index of words of the SQLite backend, in its own file.

-- name: create.block
-- Spans of one run with consecutive numbers: ids by line breaks, a digit each for whether the text
-- was cut, and the indexed texts and scopes, because deleting from the index needs them.
CREATE TABLE block (
    first             INTEGER PRIMARY KEY,
    size              INTEGER NOT NULL,
    account_id        TEXT NOT NULL,
    agent_instance_id TEXT NOT NULL,
    lowest_id         TEXT NOT NULL,
    highest_id        TEXT NOT NULL,
    span_ids          TEXT NOT NULL,
    are_cut           TEXT NOT NULL,
    scopes            TEXT NOT NULL,
    codec             INTEGER NOT NULL,
    texts             BLOB NOT NULL
) STRICT

-- name: create.run
-- A span is found by its run and id. Most new spans have higher ids than all before.
CREATE INDEX block_of_run ON block (account_id, agent_instance_id, highest_id, lowest_id)

-- name: create.word
-- Its rows have the numbers of spans. What is not ASCII arrives as words. Without details, a word
-- is found in either column.
CREATE VIRTUAL TABLE word USING fts5 (words, scopes, content = '', columnsize = 0, detail = none,
                                      tokenize = 'ascii')

-- name: create.consumer
-- How far the index has followed the change feed.
CREATE TABLE consumer (
    name     TEXT NOT NULL PRIMARY KEY,
    position INTEGER NOT NULL,
    backfill TEXT,
    revision INTEGER NOT NULL
) STRICT

-- name: search.find
-- The spans that have all words, those that were recorded last first.
SELECT rowid FROM word WHERE word MATCH :query ORDER BY rowid DESC LIMIT :limit

-- name: block.of_number
-- The block with a span.
SELECT first, account_id, agent_instance_id, span_ids, are_cut FROM block
WHERE first <= ? ORDER BY first DESC LIMIT 1

-- name: block.any
-- Whether there is anything.
SELECT EXISTS (SELECT 1 FROM block)

-- name: block.next
-- The number of the next span.
SELECT coalesce((SELECT first + size FROM block ORDER BY first DESC LIMIT 1), 1)

-- name: block.of_run
-- The blocks of a run.
SELECT first, span_ids, are_cut, scopes, codec, texts FROM block
WHERE account_id = ? AND agent_instance_id = ? ORDER BY first

-- name: block.between
-- The blocks of runs that may have ids of spans from the third value to the fourth.
WITH named (account_id, run_id, lowest_id, highest_id) AS (VALUES {rows})
SELECT block.account_id, block.agent_instance_id, first, span_ids, are_cut, scopes, codec, texts
FROM named CROSS JOIN block ON block.account_id = named.account_id
    AND block.agent_instance_id = named.run_id
    AND block.highest_id >= named.lowest_id AND block.lowest_id <= named.highest_id

-- name: block.add
-- New blocks.
INSERT INTO block (first, size, account_id, agent_instance_id, lowest_id, highest_id,
                   span_ids, are_cut, scopes, codec, texts)
VALUES {rows}

-- name: block.delete
-- Delete a block.
DELETE FROM block WHERE first = ?

-- name: block.delete_run
-- Delete the blocks of a run.
DELETE FROM block WHERE account_id = ? AND agent_instance_id = ?

-- name: block.delete_all
-- Delete all blocks.
DELETE FROM block

-- name: word.write
-- Words of spans: those to delete, as they were added, with that command, and those to add.
INSERT INTO word (word, rowid, words, scopes) VALUES {rows}

-- name: word.delete_all
-- Delete all words.
INSERT INTO word (word) VALUES ('delete-all')

-- name: consumer.all
-- How far the index is.
SELECT name, position, backfill, revision FROM consumer

-- name: consumer.begin
-- The state of an index that has none.
INSERT INTO consumer (name, position, backfill, revision) VALUES (?, ?, ?, ?)
ON CONFLICT (name) DO NOTHING

-- name: consumer.advance
-- A new state, if the one before is still there.
UPDATE consumer SET position = :position, backfill = :backfill, revision = revision + 1
WHERE name = :name AND revision = :revision
