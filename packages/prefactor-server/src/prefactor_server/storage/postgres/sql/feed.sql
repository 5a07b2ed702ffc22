-- The change feed of the PostgreSQL backend. A position is the number of a transaction plus a shift;
-- below the oldest transaction that is still under way, no commit can follow.

-- name: feed.append
-- What a commit that is not a batch did to which runs.
INSERT INTO feed_change (position, account_id, agent_instance_id, at, flags, finished, span_ids)
SELECT pg_current_xact_id()::text::bigint + coalesce((SELECT shift FROM feed_state), 0),
       account_id, agent_instance_id, $1, flags, finished, span_ids
FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[])
  AS added (account_id, agent_instance_id, flags, finished, span_ids)

-- name: feed.last
-- The position of the last commit that none with a lower position can follow.
SELECT coalesce(max(position), 0) FROM feed_change
WHERE position < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
    + coalesce((SELECT shift FROM feed_state), 0)

-- name: feed.reached
-- The position that every commit visible here is at or below.
SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint
    + coalesce((SELECT shift FROM feed_state), 0) - 1

-- name: standby.position
-- On a standby: the position that it has reached, with every commit up to it. Above the oldest
-- transaction that was under way on the primary, commits may be missing. (The snapshot of a standby
-- lists no transactions under way, so only its xmin can be trusted, and not
-- pg_visible_in_snapshot.)
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint
    + coalesce((SELECT shift FROM feed_state), 0) - 1

-- name: standby.identity
-- Which database this is: of which cluster, and which one there.
SELECT (SELECT system_identifier FROM pg_control_system()), oid::bigint
FROM pg_database WHERE datname = current_database()

-- name: feed.settled
-- What settled commits after a position did, in order; the last commit is complete.
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
-- What commits after a position did, those included that an earlier one may still follow.
SELECT position, account_id, agent_instance_id, at, flags, finished, span_ids FROM feed_change
WHERE position > $1
  AND position <= (SELECT max(position) FROM (
      SELECT position FROM feed_change WHERE position > $1 ORDER BY position LIMIT $2) AS first)
ORDER BY position, account_id, agent_instance_id

-- name: feed.pruned_to
-- Up to which position changes have been deleted.
SELECT coalesce(max(pruned_to), 0) FROM feed_state

-- name: feed.prune
-- The oldest changes up to a position, if they are older than a time; the last commit of all stays.
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
-- The position is remembered.
INSERT INTO feed_state (id, pruned_to, shift) VALUES (1, $1, 0)
ON CONFLICT (id) DO UPDATE SET pruned_to = greatest(feed_state.pruned_to, excluded.pruned_to)

-- name: feed.too_low
-- By how much the next transaction would stand below what is stored: a restored database may be in a
-- cluster that has counted fewer transactions. Nothing, as long as it would not.
SELECT greatest(
    (SELECT max(position) FROM feed_change), (SELECT max(position) FROM feed_consumer),
    (SELECT max(pruned_to) FROM feed_state)
) - coalesce((SELECT shift FROM feed_state), 0)
  - pg_snapshot_xmax(pg_current_snapshot())::text::bigint + 1

-- name: feed.shift
-- Add to the numbers of transactions, from now on.
INSERT INTO feed_state (id, pruned_to, shift) VALUES (1, 0, $1)
ON CONFLICT (id) DO UPDATE SET shift = feed_state.shift + excluded.shift

-- name: consumer.all
-- How far every consumer is.
SELECT name, position, backfill, revision FROM feed_consumer

-- name: consumer.one
-- How far one consumer is.
SELECT name, position, backfill, revision FROM feed_consumer WHERE name = $1

-- name: consumer.begin
-- The state of a consumer that has none.
INSERT INTO feed_consumer (name, position, backfill, revision) VALUES ($1, $2, $3, $4)
ON CONFLICT (name) DO NOTHING

-- name: consumer.advance
-- A new state, if the one before is still there.
UPDATE feed_consumer SET position = $3, backfill = $4, revision = revision + 1
WHERE name = $1 AND revision = $2

-- name: lease.take
-- A lease for a holder, unless somebody else has it.
INSERT INTO lease (name, holder, ends_at) VALUES ($1, $2, $4)
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, ends_at = excluded.ends_at
WHERE lease.holder = excluded.holder OR lease.ends_at <= $3

-- name: lease.release
-- The holder needs it no longer.
DELETE FROM lease WHERE name = $1 AND holder = $2

-- name: backfill.runs
-- Runs of all accounts, from one of them on, and whether each is an import that is silent here.
SELECT account_id, id, inserted_at, status, imported_at IS NOT NULL
    AND greatest(coalesce(last_seen_at, updated_at), coalesce(abandoned_at, 0)) <= imported_at
FROM agent_instance
WHERE (account_id, id) >= ($1, $2) ORDER BY account_id, id LIMIT $3

-- name: backfill.spans
-- Spans of a run, after one of them.
SELECT account_id, agent_instance_id, id, status FROM agent_span
WHERE account_id = $1 AND agent_instance_id = $2 AND id > $3
ORDER BY id LIMIT $4
