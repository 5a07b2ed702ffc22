-- The change feed of the SQLite backend.

-- name: feed.last
-- The position of the last commit; pruning leaves it.
SELECT coalesce(max(position), 0) FROM feed_change

-- name: feed.changes
-- What commits after a position did, in order.
SELECT position, account_id, agent_instance_id, at, flags, finished, span_ids FROM feed_change
WHERE position > :after ORDER BY position, account_id, agent_instance_id

-- name: feed.pruned_to
-- Up to which position changes have been deleted.
SELECT coalesce(max(pruned_to), 0) FROM feed_state

-- name: feed.prunable
-- The oldest changes up to a position; the last commit of all stays.
SELECT position, at FROM feed_change
WHERE position <= :to AND position < (SELECT max(position) FROM feed_change)
ORDER BY position LIMIT :slice

-- name: feed.prune
-- All changes up to a position.
DELETE FROM feed_change WHERE position <= :to

-- name: feed.set_pruned_to
-- The position is remembered.
INSERT INTO feed_state (id, pruned_to) VALUES (1, :to)
ON CONFLICT (id) DO UPDATE SET pruned_to = excluded.pruned_to

-- name: consumer.all
-- How far every consumer is.
SELECT name, position, backfill, revision FROM feed_consumer

-- name: consumer.one
-- How far one consumer is.
SELECT name, position, backfill, revision FROM feed_consumer WHERE name = :name

-- name: consumer.begin
-- The state of a consumer that has none.
INSERT INTO feed_consumer (name, position, backfill, revision) VALUES (?, ?, ?, ?)
ON CONFLICT (name) DO NOTHING

-- name: consumer.advance
-- A new state, if the one before is still there.
UPDATE feed_consumer SET position = :position, backfill = :backfill, revision = revision + 1
WHERE name = :name AND revision = :revision

-- name: lease.take
-- A lease for a holder, unless somebody else has it.
INSERT INTO lease (name, holder, ends_at) VALUES (:name, :holder, :until)
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, ends_at = excluded.ends_at
WHERE lease.holder = excluded.holder OR lease.ends_at <= :now

-- name: lease.release
-- The holder needs it no longer.
DELETE FROM lease WHERE name = :name AND holder = :holder

-- name: backfill.runs
-- Runs of all accounts, from one of them on, and whether each is an import that is silent here.
SELECT account_id, id, inserted_at, status, imported_at IS NOT NULL
    AND max(coalesce(last_seen_at, updated_at), coalesce(abandoned_at, 0)) <= imported_at
FROM agent_instance
WHERE (account_id, id) >= (:account_id, :id) ORDER BY account_id, id LIMIT :limit

-- name: backfill.spans
-- Spans of a run, after one of them.
SELECT account_id, agent_instance_id, id, status FROM visible_span
WHERE account_id = :account_id AND agent_instance_id = :run_id AND id > :id
ORDER BY id LIMIT :limit
