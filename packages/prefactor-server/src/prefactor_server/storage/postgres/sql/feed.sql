-- The change feed on PostgreSQL. A position is the number of a transaction plus a shift. No commit
-- can still be added below the oldest running transaction.

-- name: feed.append
-- Add the changes of a commit that is not a batch.
INSERT INTO feed_change (position, account_id, agent_instance_id, at, flags, finished, span_ids)
SELECT pg_current_xact_id()::text::bigint + coalesce((SELECT shift FROM feed_state), 0),
       account_id, agent_instance_id, $1, flags, finished, span_ids
FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[])
  AS added (account_id, agent_instance_id, flags, finished, span_ids)

-- name: feed.last
-- The position of the last commit before which no other commit can still be added.
SELECT coalesce(max(position), 0) FROM feed_change
WHERE position < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
    + coalesce((SELECT shift FROM feed_state), 0)

-- name: feed.reached
-- The position at or below which every commit visible here is.
SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint
    + coalesce((SELECT shift FROM feed_state), 0) - 1

-- name: standby.position
-- On a standby: the position up to which it has every commit. Commits above the oldest transaction
-- that was running on the primary may be missing. The snapshot of a standby lists no running
-- transactions, so only its xmin can be trusted, and not pg_visible_in_snapshot.
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint
    + coalesce((SELECT shift FROM feed_state), 0) - 1

-- name: standby.identity
-- The identity of the database: its cluster, and its id there.
SELECT (SELECT system_identifier FROM pg_control_system()), oid::bigint
FROM pg_database WHERE datname = current_database()

-- name: feed.settled
-- The changes of settled commits after a position, in order. The last commit is complete.
SELECT position, account_id, agent_instance_id, at, flags, finished, span_ids FROM feed_change
WHERE position > $1
  AND position <= (SELECT max(position) FROM (
      SELECT position FROM feed_change
      WHERE position > $1
        AND position < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
          + coalesce((SELECT shift FROM feed_state), 0)
      ORDER BY position LIMIT $2) AS first)
ORDER BY position, account_id, agent_instance_id

-- name: feed.all
-- The changes of commits after a position, including commits before which another may still be
-- added.
SELECT position, account_id, agent_instance_id, at, flags, finished, span_ids FROM feed_change
WHERE position > $1
  AND position <= (SELECT max(position) FROM (
      SELECT position FROM feed_change WHERE position > $1 ORDER BY position LIMIT $2) AS first)
ORDER BY position, account_id, agent_instance_id

-- name: feed.pruned_to
-- The position up to which changes have been deleted.
SELECT coalesce(max(pruned_to), 0) FROM feed_state

-- name: feed.prune
-- Delete the oldest changes up to a position that are older than a time, except the last commit.
WITH old AS (
    SELECT position, at FROM feed_change
    WHERE position <= $1 AND position < (SELECT max(position) FROM feed_change)
    ORDER BY position LIMIT $3
), gone AS (
    DELETE FROM feed_change WHERE position <= (SELECT max(position) FROM old WHERE at < $2)
    RETURNING position
)
SELECT count(*), max(position) FROM gone

-- name: feed.set_pruned_to
-- Store the position up to which changes have been deleted.
INSERT INTO feed_state (id, pruned_to, shift) VALUES (1, $1, 0)
ON CONFLICT (id) DO UPDATE SET pruned_to = greatest(feed_state.pruned_to, excluded.pruned_to)

-- name: feed.too_low
-- How far the next position would be below the stored ones, or less than 1 if it would not. A
-- database may be restored into a cluster that has counted fewer transactions.
SELECT greatest(
    (SELECT max(position) FROM feed_change), (SELECT max(position) FROM feed_consumer),
    (SELECT max(pruned_to) FROM feed_state)
) - coalesce((SELECT shift FROM feed_state), 0)
  - pg_snapshot_xmax(pg_current_snapshot())::text::bigint + 1

-- name: feed.shift
-- Add to the numbers of transactions from now on.
INSERT INTO feed_state (id, pruned_to, shift) VALUES (1, 0, $1)
ON CONFLICT (id) DO UPDATE SET shift = feed_state.shift + excluded.shift

-- name: consumer.all
-- The states of all consumers.
SELECT name, position, backfill, revision FROM feed_consumer

-- name: consumer.one
-- The state of one consumer.
SELECT name, position, backfill, revision FROM feed_consumer WHERE name = $1

-- name: consumer.begin
-- Store the state of a consumer that has none.
INSERT INTO feed_consumer (name, position, backfill, revision) VALUES ($1, $2, $3, $4)
ON CONFLICT (name) DO NOTHING

-- name: consumer.advance
-- Store a new state, unless the previous one has changed.
UPDATE feed_consumer SET position = $3, backfill = $4, revision = revision + 1
WHERE name = $1 AND revision = $2

-- name: lease.take
-- Take or extend a lease, unless another holder has it.
INSERT INTO lease (name, holder, ends_at) VALUES ($1, $2, $4)
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, ends_at = excluded.ends_at
WHERE lease.holder = excluded.holder OR lease.ends_at <= $3

-- name: lease.release
-- Release a lease.
DELETE FROM lease WHERE name = $1 AND holder = $2

-- name: backfill.runs
-- Runs of all accounts, starting with a given one, and whether each is an import without writes
-- here.
SELECT account_id, id, inserted_at, status, imported_at IS NOT NULL
    AND greatest(coalesce(last_seen_at, updated_at), coalesce(abandoned_at, 0)) <= imported_at
FROM agent_instance
WHERE (account_id, id) >= ($1, $2) ORDER BY account_id, id LIMIT $3

-- name: backfill.spans
-- Spans of a run after a given one.
SELECT account_id, agent_instance_id, id, status FROM agent_span
WHERE account_id = $1 AND agent_instance_id = $2 AND id > $3
  AND NOT EXISTS (SELECT FROM deleted_run AS gone WHERE gone.account_id = $1 AND gone.id = $2)
ORDER BY id LIMIT $4
