-- Steps of the function that writes a batch; see write_function.py, which generates the other
-- inserts and updates from the tables. The arguments are arrays in the order of ids: new_* and
-- changed_* by table, and runs, the stored runs that the batch changes.

-- name: receipt
-- The first step. If the process has given up this batch as lost, it has inserted the same receipt,
-- and the batch fails here.
INSERT INTO write_receipt (id) VALUES (receipt);

-- name: runs.lock
-- Lock the runs before anything that belongs to them is changed, so that spans and counts change
-- together. The order is fixed, so that no two batches deadlock. The batch fails if a run has
-- changed meanwhile.
SELECT count(*) INTO touched FROM (
    SELECT FROM agent_instance AS run
    JOIN unnest(runs) AS change ON run.account_id = change.account_id AND run.id = change.id
    WHERE run.revision = change.revision
    ORDER BY run.account_id, run.id
    FOR NO KEY UPDATE OF run
) AS locked;

-- name: deleted.make_room
-- Delete what remains of deleted runs under the ids of new runs and spans, which would be taken for
-- theirs. The marks come first, because who deletes a slice has locked the mark of its run.
IF EXISTS (SELECT FROM deleted_run) THEN
    DELETE FROM deleted_run AS gone USING unnest(new_agent_instance) AS fresh
    WHERE gone.account_id = fresh.account_id AND gone.id = fresh.id;
    DELETE FROM span_payload AS payload
    USING unnest(new_agent_instance) AS fresh, agent_span AS span
    WHERE span.account_id = fresh.account_id AND span.agent_instance_id = fresh.id
      AND payload.account_id = span.account_id AND payload.span_id = span.id;
    DELETE FROM agent_span AS span USING unnest(new_agent_instance) AS fresh
    WHERE span.account_id = fresh.account_id AND span.agent_instance_id = fresh.id;
    DELETE FROM span_payload AS payload
    USING unnest(new_agent_span) AS fresh, agent_span AS span, deleted_run AS gone
    WHERE span.account_id = fresh.account_id AND span.id = fresh.id
      AND gone.account_id = span.account_id AND gone.id = span.agent_instance_id
      AND payload.account_id = span.account_id AND payload.span_id = span.id;
    DELETE FROM agent_span AS span USING unnest(new_agent_span) AS fresh, deleted_run AS gone
    WHERE span.account_id = fresh.account_id AND span.id = fresh.id
      AND gone.account_id = span.account_id AND gone.id = span.agent_instance_id;
END IF;

-- name: agents.lock
-- Serialize new agents of an account: no index can ensure that an id differs from the external
-- identifiers of other agents.
PERFORM pg_advisory_xact_lock(hashtextextended(account_id, 4127))
FROM (SELECT DISTINCT account_id FROM unnest(new_agent) ORDER BY account_id) AS accounts;

-- name: agents.ambiguous
-- Count new agents whose id or external identifier also identifies another agent.
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
-- Close the open spans of terminated runs. This follows the changes to spans that the batch names,
-- none of which stays open, and precedes new spans, which may. 1 is CLOSED_BY_TERMINATION, 4 is
-- FINISHED_BEFORE_STARTED.
IF EXISTS (SELECT FROM unnest(runs) WHERE closed_at IS NOT NULL) THEN
    WITH closed AS (
        UPDATE agent_span AS span
        SET status = 'cancelled', started_at = coalesce(span.started_at, change.closed_at),
            finished_at = change.closed_at, updated_at = change.closed_at,
            flags = span.flags | 1 | CASE WHEN span.started_at > change.closed_at THEN 4 ELSE 0 END,
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

-- name: feed.position
-- Compute the position of this commit, which its answers return, even if it adds nothing to the
-- feed. The receipt has given the transaction its number.
feed_position := pg_current_xact_id()::text::bigint
    + coalesce((SELECT shift FROM feed_state), 0);
feed_at := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;

-- name: feed.append
-- Add the changes of the commit to the feed. Spans that a termination closed are already in it.
INSERT INTO feed_change (position, account_id, agent_instance_id, at, flags, finished, span_ids)
SELECT feed_position, account_id, agent_instance_id, feed_at, flags, finished, span_ids
FROM unnest(new_feed_change)
ON CONFLICT (position, account_id, agent_instance_id) DO UPDATE
SET flags = excluded.flags, finished = feed_change.finished + excluded.finished,
    span_ids = concat_ws(E'\n', feed_change.span_ids, nullif(excluded.span_ids, ''));

-- name: payloads
-- Insert payloads. A result that was recorded before a termination is replaced by a later one.
INSERT INTO span_payload (account_id, span_id, part, codec, body)
SELECT account_id, span_id, part, codec, body FROM unnest(new_span_payload)
ON CONFLICT (account_id, span_id, part) DO UPDATE SET codec = excluded.codec, body = excluded.body;

-- name: contents
-- Insert contents, unless another request has stored the same content.
INSERT INTO schema_content (account_id, content_hash, codec, body)
SELECT account_id, content_hash, codec, body FROM unnest(new_schema_content)
ON CONFLICT DO NOTHING;

-- name: audit
-- Add entries to the audit log.
INSERT INTO audit_entry (account_id, at, actor, action, resource_id, detail)
SELECT account_id, at, actor, action, resource_id, detail FROM unnest(new_audit_entry);

-- name: runs.update
-- Update runs. Span counts are added to the stored ones. A termination first turns the counts of
-- open spans into cancelled ones, to which the counts of the batch are relative.
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

-- name: alerts.full
-- Count runs for which this batch raises an alert through the API, and which have more than they may
-- have. The runs are locked. The server's own alerts are never refused, but count.
SELECT count(*) INTO touched FROM (
    SELECT DISTINCT account_id, agent_instance_id FROM unnest(new_alert) WHERE raised_by = 'api'
) AS run
WHERE {most} < (
    SELECT count(*) FROM alert
    WHERE alert.account_id = run.account_id AND alert.agent_instance_id = run.agent_instance_id
      AND alert.status = 'raised'
);

-- name: webhooks.full
-- Count accounts with new webhooks that have more than they may have, one batch at a time.
PERFORM pg_advisory_xact_lock(hashtextextended(account_id, 4128))
FROM (SELECT DISTINCT account_id FROM unnest(new_webhook) ORDER BY account_id) AS accounts;
SELECT count(*) INTO touched FROM (SELECT DISTINCT account_id FROM unnest(new_webhook)) AS account
WHERE {most} < (
    SELECT count(*) FROM webhook
    WHERE webhook.account_id = account.account_id AND webhook.deleted_at IS NULL
);
