-- Partitions by time. Each {slot} is a name or a literal of our own; see upkeep/partitions.py.

-- name: ranges
-- The ranges of a table's partitions, the DEFAULT partition excepted.
SELECT partition.relname, pg_get_expr(partition.relpartbound, partition.oid)
FROM pg_inherits AS link JOIN pg_class AS partition ON partition.oid = link.inhrelid
WHERE link.inhparent = $1::text::regclass
  AND pg_get_expr(partition.relpartbound, partition.oid) <> 'DEFAULT'
ORDER BY 2

-- name: turn
-- One server at a time; the others leave it the work.
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

-- name: attach
-- A partition with its range.
ALTER TABLE {table} ATTACH PARTITION {partition} FOR VALUES FROM ('{low}') TO ('{high}')
