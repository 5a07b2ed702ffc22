-- The steps of the function that writes a batch, beside the inserts and updates that follow from the
-- tables alone; see write_function.py. Its arguments are arrays in id order: new_* and changed_* by table,
-- and runs, the stored runs that the batch touches.

-- name: receipt
-- First: a batch that was given up for lost has had its receipt written by the process that gave it up.
INSERT INTO write_receipt (id) VALUES (receipt);

-- name: runs.lock
-- Before anything of a run is touched, so that its spans and its counts change together, and in one
-- order, so that no two batches wait for each other. A run that has moved on fails the batch.
SELECT count(*) INTO touched FROM (
    SELECT FROM agent_instance AS run
    JOIN unnest(runs) AS change ON run.account_id = change.account_id AND run.id = change.id
    WHERE run.revision = change.revision
    ORDER BY run.account_id, run.id
    FOR NO KEY UPDATE OF run
) AS locked;

-- name: agents.lock
-- New agents of an account come one batch at a time: an id must not be another's external
-- identifier, and no index can say that.
PERFORM pg_advisory_xact_lock(hashtextextended(account_id, 4127))
FROM (SELECT DISTINCT account_id FROM unnest(new_agent) ORDER BY account_id) AS accounts;

-- name: agents.ambiguous
-- The new agents that another agent's name could be taken for.
SELECT count(*) INTO touched
FROM unnest(new_agent) AS fresh JOIN agent AS other
  ON other.account_id = fresh.account_id AND other.external_identifier = fresh.id
WHERE other.id <> fresh.id;
IF touched = 0 THEN
    SELECT count(*) INTO touched
    FROM unnest(new_agent) AS fresh JOIN agent AS other
      ON other.account_id = fresh.account_id AND other.id = fresh.external_identifier
    WHERE other.id <> fresh.id;
END IF;

-- name: runs.close_spans
-- What a termination closes, after the changes to spans that the batch names (none of those is left
-- open by it) and before the new ones (which may be). 1 is CLOSED_BY_TERMINATION.
IF EXISTS (SELECT FROM unnest(runs) WHERE closed_at IS NOT NULL) THEN
    WITH closed AS (
        UPDATE agent_span AS span
        SET status = 'cancelled', started_at = coalesce(span.started_at, change.closed_at),
            finished_at = change.closed_at, flags = span.flags | 1, updated_at = change.closed_at,
            revision = span.revision + 1
        FROM unnest(runs) AS change
        WHERE change.closed_at IS NOT NULL
          AND span.account_id = change.account_id AND span.agent_instance_id = change.id
          AND span.status IN ('pending', 'active')
        RETURNING span.account_id, span.agent_instance_id, span.id
    )
    INSERT INTO feed_change (position, account_id, agent_instance_id, at, flags, finished, span_ids)
    SELECT feed_position, account_id, agent_instance_id, feed_at, 0, count(*),
           string_agg(id, E'\n' ORDER BY id)
    FROM closed GROUP BY account_id, agent_instance_id;
END IF;

-- name: feed.place
-- Where this commit stands in the change feed, even if it adds nothing to it: this is the position of
-- its answers. Its transaction has got its number with the receipt.
feed_position := pg_current_xact_id()::text::bigint
    + coalesce((SELECT shift FROM feed_state), 0);
feed_at := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;

-- name: feed.append
-- What the commit did to which runs. Spans that a termination closed are already in it.
INSERT INTO feed_change (position, account_id, agent_instance_id, at, flags, finished, span_ids)
SELECT feed_position, account_id, agent_instance_id, feed_at, flags, finished, span_ids
FROM unnest(new_feed_change)
ON CONFLICT (position, account_id, agent_instance_id) DO UPDATE
SET flags = excluded.flags, finished = feed_change.finished + excluded.finished,
    span_ids = concat_ws(E'\n', feed_change.span_ids, nullif(excluded.span_ids, ''));

-- name: payloads
-- A result that was recorded before a termination is replaced by the one that came after it.
INSERT INTO span_payload (account_id, span_id, part, codec, body)
SELECT account_id, span_id, part, codec, body FROM unnest(new_span_payload)
ON CONFLICT (account_id, span_id, part) DO UPDATE SET codec = excluded.codec, body = excluded.body;

-- name: contents
-- The same content under the same hash, no matter which request wrote it first.
INSERT INTO schema_content (account_id, content_hash, codec, body)
SELECT account_id, content_hash, codec, body FROM unnest(new_schema_content)
ON CONFLICT DO NOTHING;

-- name: audit
-- What operators did, with what they did.
INSERT INTO audit_entry (account_id, at, actor, action, resource_id, detail)
SELECT account_id, at, actor, action, resource_id, detail FROM unnest(new_audit_entry);

-- name: runs.update
-- Counts are added to what they are by now. A termination first turns all that are open into
-- cancelled ones; the batch's own counts are relative to that.
UPDATE agent_instance AS run
SET status = change.status, started_at = change.started_at, finished_at = change.finished_at,
    termination_reason = change.termination_reason, updated_at = change.updated_at,
    ended_by = change.ended_by, abandoned_at = change.abandoned_at,
    last_seen_at = greatest(run.last_seen_at, change.last_seen_at),
    pending_spans = change.pending_spans
        + CASE WHEN change.closed_at IS NULL THEN run.pending_spans ELSE 0 END,
    active_spans = change.active_spans
        + CASE WHEN change.closed_at IS NULL THEN run.active_spans ELSE 0 END,
    complete_spans = change.complete_spans + run.complete_spans,
    failed_spans = change.failed_spans + run.failed_spans,
    cancelled_spans = change.cancelled_spans + run.cancelled_spans
        + CASE WHEN change.closed_at IS NULL THEN 0 ELSE run.pending_spans + run.active_spans END,
    revision = run.revision + CASE WHEN change.moved THEN 1 ELSE 0 END
FROM unnest(runs) AS change
WHERE run.account_id = change.account_id AND run.id = change.id;
