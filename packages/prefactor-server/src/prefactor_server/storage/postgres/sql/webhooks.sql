-- Webhooks and their outbox.

-- name: webhooks.enabled
-- The enabled webhooks of accounts.
SELECT {webhook} FROM webhook AS t
WHERE t.account_id = ANY (:accounts::text[]) AND t.status = 'enabled'
ORDER BY t.account_id, t.id

-- name: webhooks.last_inserted_at
-- The insertion time of the last delivery.
SELECT coalesce(max(inserted_at), 0) FROM webhook_delivery

-- name: webhooks.ready
-- Enabled webhooks with due deliveries, working webhooks first.
SELECT {webhook} FROM webhook AS t
WHERE t.status = 'enabled' AND t.not_before <= :now
  AND EXISTS (SELECT 1 FROM webhook_delivery AS due
              WHERE due.account_id = t.account_id AND due.webhook_id = t.id
                AND due.status = 'pending' AND due.next_attempt_at <= :now)
ORDER BY t.failures, t.not_before, t.account_id, t.id LIMIT :limit

-- name: webhooks.due
-- The due deliveries of a webhook, without those that wait for an earlier one of the same run.
SELECT {delivery} FROM webhook_delivery AS t
WHERE t.account_id = :account_id AND t.webhook_id = :webhook_id AND t.status = 'pending'
  AND t.next_attempt_at <= :now
  AND NOT EXISTS (SELECT 1 FROM webhook_delivery AS before
                  WHERE before.account_id = t.account_id AND before.webhook_id = t.webhook_id
                    AND before.agent_instance_id = t.agent_instance_id
                    AND before.status = 'pending' AND before.inserted_at < t.inserted_at)
ORDER BY t.next_attempt_at, t.inserted_at LIMIT :limit

-- name: webhooks.pending
-- The number of pending deliveries, up to a limit.
SELECT count(*) FROM (
    SELECT 1 FROM webhook_delivery WHERE status = 'pending' LIMIT :limit) AS counted

-- name: webhooks.prune_old
-- Delete some old deliveries.
DELETE FROM webhook_delivery WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM webhook_delivery WHERE inserted_at < :before
    ORDER BY inserted_at LIMIT :limit FOR UPDATE SKIP LOCKED))

-- name: webhooks.prune_deleted
-- Delete some deliveries of deleted webhooks.
DELETE FROM webhook_delivery WHERE ctid = ANY (ARRAY(
    SELECT gone.ctid FROM webhook AS t
    JOIN webhook_delivery AS gone ON gone.account_id = t.account_id AND gone.webhook_id = t.id
    WHERE t.deleted_at IS NOT NULL LIMIT :limit FOR UPDATE OF gone SKIP LOCKED))
