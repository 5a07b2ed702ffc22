-- Partitions by time. The server fills each {slot} with a name or a literal of its own; see
-- upkeep/partitions.py.

-- name: ranges
-- The ranges of a table's partitions, without the DEFAULT partition.
SELECT name, bound FROM (
    SELECT partition.relname AS name, pg_get_expr(partition.relpartbound, partition.oid) AS bound
    FROM pg_inherits AS link JOIN pg_class AS partition ON partition.oid = link.inhrelid
    WHERE link.inhparent = $1::text::regclass
    OFFSET 0 -- The bound is computed once.
) AS partitions
WHERE bound <> 'DEFAULT' ORDER BY bound

-- name: extend.begin
-- Take the lock of the server that creates all due partitions. Other servers do nothing meanwhile.
SELECT pg_try_advisory_lock(6213795107)

-- name: extend.end
-- Release that lock.
SELECT pg_advisory_unlock(6213795107)

-- name: turn
-- Take the lock that serializes all changes of partitions, until the transaction ends.
SELECT pg_try_advisory_xact_lock(6213795106)

-- name: patience
-- Limit how long this transaction waits for its locks and holds them, because writes wait behind
-- it. The limit is above one second, after which PostgreSQL cancels an autovacuum that blocks it.
SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = '5s'

-- name: lock
-- Lock a table that gets its first range.
LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE

-- name: is_empty
-- Whether a table has no rows.
SELECT NOT EXISTS (SELECT FROM {table})

-- name: create
-- Create a partition that is not attached yet, with the indexes and constraints of its table.
CREATE TABLE {partition} (LIKE {table} INCLUDING ALL){options}

-- name: estimate
-- Set how many values of columns the planner should expect.
ALTER TABLE {partition} {estimates}

-- name: move
-- Move the rows of a range from one partition to another.
WITH moved AS (
    DELETE FROM {source} WHERE {key} >= '{low}' AND {key} < '{high}' RETURNING *
)
INSERT INTO {partition} SELECT * FROM moved

-- name: exclude
-- State that the DEFAULT partition has no row of any range, so that attaching a partition does not
-- read it.
ALTER TABLE {table}_default ADD CONSTRAINT {table}_default_excludes
    CHECK ({key} < '{low}' OR {key} >= '{high}')

-- name: detach
-- Detach a partition whose range changes. This blocks reads and writes until the transaction ends.
ALTER TABLE {table} DETACH PARTITION {partition}

-- name: drop
-- Drop two detached partitions.
DROP TABLE {partition}, {other}

-- name: attach
-- Attach a partition with its range.
ALTER TABLE {table} ATTACH PARTITION {partition} FOR VALUES FROM ('{low}') TO ('{high}')

-- name: empty.runs
-- The runs with spans in a partition. The columns of the run are NULL if it does not exist.
SELECT part.account_id, part.agent_instance_id, run.agent_id, run.environment_id, run.purpose,
       run.finished_at,
       run.pending_spans + run.active_spans + run.complete_spans + run.failed_spans
         + run.cancelled_spans,
       EXISTS (SELECT 1 FROM legal_hold AS hold
               WHERE hold.account_id = part.account_id
                 AND hold.agent_instance_id = part.agent_instance_id),
       part.spans
FROM (
    SELECT span.account_id, span.agent_instance_id, count(*) AS spans
    FROM agent_span_{name} AS span
    WHERE NOT EXISTS (SELECT FROM deleted_run AS gone
                      WHERE gone.account_id = span.account_id AND gone.id = span.agent_instance_id)
    GROUP BY span.account_id, span.agent_instance_id LIMIT $1
) AS part
LEFT JOIN agent_instance AS run
  ON run.account_id = part.account_id AND run.id = part.agent_instance_id

-- name: empty.payload_bytes
-- The bytes of all payloads in a partition, or NULL if any may be of spans that were deleted.
SELECT coalesce(sum(octet_length(body)), 0)::bigint FROM span_payload_{name}
HAVING NOT EXISTS (SELECT FROM deleted_run)

-- name: empty.payload_bytes_of
-- The bytes of the payloads of runs in a partition.
SELECT coalesce(sum(octet_length(payload.body)), 0)::bigint
FROM agent_span_{name} AS span JOIN span_payload_{name} AS payload
  ON payload.account_id = span.account_id AND payload.span_id = span.id
WHERE span.account_id = $1 AND span.agent_instance_id = ANY ($2::text[])

-- name: empty.lock
-- Lock a partition against reads and writes, until it is empty.
LOCK TABLE agent_span_{name}, span_payload_{name} IN ACCESS EXCLUSIVE MODE

-- name: empty.count
-- The number of spans that are left in a partition, without those of deleted runs.
SELECT count(*) FROM agent_span_{name} AS span
WHERE NOT EXISTS (SELECT FROM deleted_run AS gone
                  WHERE gone.account_id = span.account_id AND gone.id = span.agent_instance_id)

-- name: empty.truncate
-- Delete all rows of a partition.
TRUNCATE agent_span_{name}, span_payload_{name}
