-- The index of words of the SQLite backend, in its own file.

-- name: create.document
-- A span in the index. Its words are kept, because deleting it from the index needs them.
CREATE TABLE document (
    number            INTEGER PRIMARY KEY,
    account_id        TEXT NOT NULL,
    agent_instance_id TEXT NOT NULL,
    span_id           TEXT NOT NULL,
    is_cut            INTEGER NOT NULL,
    codec             INTEGER NOT NULL,
    words             BLOB NOT NULL
) STRICT

-- name: create.span
-- A span is found by its run.
CREATE UNIQUE INDEX document_span ON document (account_id, agent_instance_id, span_id)

-- name: create.word
-- Its rows have the numbers of documents. What is not ASCII arrives as words.
CREATE VIRTUAL TABLE word USING fts5 (words, content = '', columnsize = 0, detail = none,
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
SELECT document.agent_instance_id, document.span_id, document.is_cut
FROM word CROSS JOIN document ON document.number = word.rowid
WHERE word MATCH :query AND document.account_id = :account_id
ORDER BY word.rowid DESC LIMIT :limit

-- name: document.any
-- Whether there is anything.
SELECT EXISTS (SELECT 1 FROM document)

-- name: document.of_run
-- The spans of a run.
SELECT number, codec, words FROM document WHERE account_id = ? AND agent_instance_id = ?

-- name: document.of_span
-- A span.
SELECT number, codec, words FROM document
WHERE account_id = ? AND agent_instance_id = ? AND span_id = ?

-- name: document.last
-- The highest number.
SELECT coalesce(max(number), 0) FROM document

-- name: document.add
-- Spans that are new; others keep their numbers.
INSERT OR IGNORE INTO document
    (number, account_id, agent_instance_id, span_id, is_cut, codec, words)
VALUES {rows}

-- name: document.after
-- The spans that were added after a number was the highest.
SELECT number FROM document WHERE number > ?

-- name: document.change
-- A span with other words.
UPDATE document SET is_cut = ?, codec = ?, words = ? WHERE number = ?

-- name: document.delete
-- A span goes.
DELETE FROM document WHERE number = ?

-- name: document.delete_all
-- All spans go.
DELETE FROM document

-- name: word.add
-- The words of spans.
INSERT INTO word (rowid, words) VALUES {rows}

-- name: word.delete
-- The words that a span had.
INSERT INTO word (word, rowid, words) VALUES ('delete', ?, ?)

-- name: word.delete_all
-- All words go.
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
