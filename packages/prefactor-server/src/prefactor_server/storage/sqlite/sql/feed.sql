-- The change feed on SQLite.

-- name: feed.last
-- The position of the last commit, which pruning keeps.
SELECT coalesce(max(position), 0) FROM feed_change

-- name: feed.changes
-- The changes of commits after a position, in order.
SELECT position, account_id, agent_instance_id, at, flags, finished, span_ids FROM feed_change
WHERE position > :after ORDER BY position, account_id, agent_instance_id

-- name: feed.pruned_to
-- The position up to which changes have been deleted.
SELECT coalesce(max(pruned_to), 0) FROM feed_state

-- name: feed.prunable
-- The oldest changes up to a position, except the last commit.
SELECT position, at FROM feed_change
WHERE position <= :to AND position < (SELECT max(position) FROM feed_change)
ORDER BY position LIMIT :slice

-- name: feed.prune
-- Delete all changes up to a position.
DELETE FROM feed_change WHERE position <= :to

-- name: feed.set_pruned_to
-- Store the position up to which changes have been deleted.
INSERT INTO feed_state (id, pruned_to) VALUES (1, :to)
ON CONFLICT (id) DO UPDATE SET pruned_to = excluded.pruned_to

-- name: consumer.all
-- The states of all consumers.
SELECT name, position, backfill, revision FROM feed_consumer

-- name: consumer.one
-- The state of one consumer.
SELECT name, position, backfill, revision FROM feed_consumer WHERE name = :name

-- name: consumer.begin
-- Store the state of a consumer that has none.
INSERT INTO feed_consumer (name, position, backfill, revision) VALUES (?, ?, ?, ?)
ON CONFLICT (name) DO NOTHING

-- name: consumer.advance
-- Store a new state, unless the previous one has changed.
UPDATE feed_consumer SET position = :position, backfill = :backfill, revision = revision + 1
WHERE name = :name AND revision = :revision

-- name: lease.take
-- Take or extend a lease, unless another holder has it.
INSERT INTO lease (name, holder, ends_at) VALUES (:name, :holder, :until)
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, ends_at = excluded.ends_at
WHERE lease.holder = excluded.holder OR lease.ends_at <= :now

-- name: lease.release
-- Release a lease.
DELETE FROM lease WHERE name = :name AND holder = :holder

-- name: backfill.runs
-- Runs of all accounts, starting with a given one, and whether each is an import without writes
-- here.
SELECT account_id, id, inserted_at, status, imported_at IS NOT NULL
    AND max(coalesce(last_seen_at, updated_at), coalesce(abandoned_at, 0)) <= imported_at
FROM agent_instance
WHERE (account_id, id) >= (:account_id, :id) ORDER BY account_id, id LIMIT :limit

-- name: backfill.spans
-- Spans of a run after a given one.
SELECT account_id, agent_instance_id, id, status FROM visible_span
WHERE account_id = :account_id AND agent_instance_id = :run_id AND id > :id
ORDER BY id LIMIT :limit
