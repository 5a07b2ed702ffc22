-- Partitions by time. Each {slot} is a name or a literal of our own; see upkeep/partitions.py.

-- name: ranges
-- The ranges of a table's partitions, the DEFAULT partition excepted.
SELECT partition.relname, pg_get_expr(partition.relpartbound, partition.oid)
FROM pg_inherits AS link JOIN pg_class AS partition ON partition.oid = link.inhrelid
WHERE link.inhparent = $1::text::regclass
  AND pg_get_expr(partition.relpartbound, partition.oid) <> 'DEFAULT'
ORDER BY 2

-- name: extend.begin
-- One server at a time makes all partitions that are due; the others leave it the work.
SELECT pg_try_advisory_lock(6213795107)

-- name: extend.end
-- The work is done, or left to the next time.
SELECT pg_advisory_unlock(6213795107)

-- name: turn
-- No other transaction changes partitions meanwhile.
SELECT pg_try_advisory_xact_lock(6213795106)

-- name: patience
-- Writes wait behind this transaction while it waits for its locks, and while it holds them. More
-- than a second, after which PostgreSQL cancels an autovacuum that is in the way.
SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = '5s'

-- name: lock
-- A table that gets its first range.
LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE

-- name: is_empty
-- Whether a table has never had a row, or none is left.
SELECT NOT EXISTS (SELECT FROM {table})

-- name: create
-- A partition that is not attached yet, with the indexes and constraints of its table.
CREATE TABLE {partition} (LIKE {table} INCLUDING ALL){options}

-- name: move
-- The rows of a range, from one partition to another.
WITH moved AS (
    DELETE FROM {source} WHERE {key} >= '{low}' AND {key} < '{high}' RETURNING *
)
INSERT INTO {partition} SELECT * FROM moved

-- name: exclude
-- The DEFAULT partition has no row of a range, so it is not read when a partition of it is attached.
ALTER TABLE {table}_default ADD CONSTRAINT {table}_default_excludes
    CHECK ({key} < '{low}' OR {key} >= '{high}')

-- name: detach
-- A partition whose range changes. Locks the table for everything until the transaction ends.
ALTER TABLE {table} DETACH PARTITION {partition}

-- name: drop
-- Two partitions that are not attached.
DROP TABLE {partition}, {other}

-- name: attach
-- A partition with its range.
ALTER TABLE {table} ATTACH PARTITION {partition} FOR VALUES FROM ('{low}') TO ('{high}')

-- name: empty.runs
-- The runs with spans in a partition; an orphan has no run.
SELECT part.account_id, part.agent_instance_id, run.agent_id, run.environment_id, run.purpose,
       run.finished_at,
       run.pending_spans + run.active_spans + run.complete_spans + run.failed_spans
         + run.cancelled_spans,
       EXISTS (SELECT 1 FROM legal_hold AS hold
               WHERE hold.account_id = part.account_id
                 AND hold.agent_instance_id = part.agent_instance_id),
       part.spans, part.payload_bytes
FROM (
    SELECT span.account_id, span.agent_instance_id, count(*) AS spans,
           coalesce(sum(payload.bytes), 0)::bigint AS payload_bytes
    FROM agent_span_{name} AS span LEFT JOIN (
        SELECT account_id, span_id, sum(octet_length(body)) AS bytes
        FROM span_payload_{name} GROUP BY account_id, span_id
    ) AS payload ON payload.account_id = span.account_id AND payload.span_id = span.id
    GROUP BY span.account_id, span.agent_instance_id LIMIT $1
) AS part
LEFT JOIN agent_instance AS run
  ON run.account_id = part.account_id AND run.id = part.agent_instance_id

-- name: empty.lock
-- Nobody writes to a partition, or reads it, until it is empty.
LOCK TABLE agent_span_{name}, span_payload_{name} IN ACCESS EXCLUSIVE MODE

-- name: empty.count
-- The spans that are left in a partition.
SELECT count(*) FROM agent_span_{name}

-- name: empty.truncate
-- All rows of a partition.
TRUNCATE agent_span_{name}, span_payload_{name}
