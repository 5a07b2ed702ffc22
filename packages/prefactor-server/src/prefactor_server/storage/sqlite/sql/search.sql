-- The search index on SQLite, in a separate file.

-- name: create.block
-- Blocks of spans of one run with consecutive numbers: their ids, separated by line breaks; a digit
-- for each that says whether its text was truncated; and the indexed texts and scopes, which a
-- deletion from the index needs.
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
-- Finds a span by its run and id. Most new spans have higher ids than all earlier ones.
CREATE INDEX block_of_run ON block (account_id, agent_instance_id, highest_id, lowest_id)

-- name: word.create
-- The words of some spans; row ids are the numbers of spans. Text that is not ASCII is split into
-- words before. Without details, a word is found in either column.
CREATE VIRTUAL TABLE IF NOT EXISTS {table} USING fts5 (
    words, scopes, content = '', columnsize = 0, detail = none, tokenize = 'ascii')

-- name: create.consumer
-- The position of the index in the change feed.
CREATE TABLE consumer (
    name     TEXT NOT NULL PRIMARY KEY,
    position INTEGER NOT NULL,
    backfill TEXT,
    revision INTEGER NOT NULL
) STRICT

-- name: search.find
-- The spans that contain all words, the last recorded ones first.
SELECT rowid FROM {table} WHERE {table} MATCH ? ORDER BY rowid DESC

-- name: block.of_number
-- The block that contains a span number.
SELECT first, account_id, agent_instance_id, span_ids, are_cut FROM block
WHERE first <= ? ORDER BY first DESC LIMIT 1

-- name: block.any
-- Whether there is any block.
SELECT EXISTS (SELECT 1 FROM block)

-- name: block.next
-- The number of the next span.
SELECT coalesce((SELECT first + size FROM block ORDER BY first DESC LIMIT 1), 1)

-- name: block.of_run
-- The blocks of a run.
SELECT first, span_ids, are_cut, scopes, codec, texts FROM block
WHERE account_id = ? AND agent_instance_id = ? ORDER BY first

-- name: block.between
-- The blocks of runs that may contain span ids in a range.
WITH named (account_id, run_id, lowest_id, highest_id) AS (VALUES {rows})
SELECT block.account_id, block.agent_instance_id, first, span_ids, are_cut, scopes, codec, texts
FROM named CROSS JOIN block ON block.account_id = named.account_id
    AND block.agent_instance_id = named.run_id
    AND block.highest_id >= named.lowest_id AND block.lowest_id <= named.highest_id

-- name: block.add
-- Add blocks.
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

-- name: word.add
-- Add the words of spans.
INSERT INTO {table} (rowid, words, scopes) VALUES {rows}

-- name: word.change
-- Delete the words of spans with the command `delete` and the same words, or add words.
INSERT INTO {table} ({table}, rowid, words, scopes) VALUES {rows}

-- name: word.delete_all
-- Delete all words of a table.
INSERT INTO {table} ({table}) VALUES ('delete-all')

-- name: consumer.all
-- The state of the index.
SELECT name, position, backfill, revision FROM consumer

-- name: consumer.begin
-- Store the state of an index that has none.
INSERT INTO consumer (name, position, backfill, revision) VALUES (?, ?, ?, ?)
ON CONFLICT (name) DO NOTHING

-- name: consumer.advance
-- Store a new state, unless the previous one has changed.
UPDATE consumer SET position = :position, backfill = :backfill, revision = revision + 1
WHERE name = :name AND revision = :revision
