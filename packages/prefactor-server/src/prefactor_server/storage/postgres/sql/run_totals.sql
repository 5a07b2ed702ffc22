-- The totals of runs.

-- name: totals.of
-- The totals of runs.
SELECT {run_total} FROM run_total AS t
WHERE t.account_id = :account_id AND t.id = ANY (:ids::text[])

-- name: totals.exact
-- The total of a run if the consumer of totals has seen every change of the run and counted it
-- since. Some of the changes that it has not seen are examined; the run may be among the others.
SELECT {run_total} FROM run_total AS t
WHERE t.account_id = :account_id AND t.id = :id
  AND NOT EXISTS (SELECT 1 FROM run_total_due WHERE account_id = :account_id AND id = :id)
  AND EXISTS (
      SELECT 1 FROM feed_consumer
      WHERE name = :consumer AND backfill IS NULL
        AND position >= coalesce((SELECT max(pruned_to) FROM feed_state), 0)
  )
  AND (
      SELECT count(*) <= :changes::bigint
          AND NOT coalesce(bool_or(account_id = :account_id AND agent_instance_id = :id), false)
      FROM (
          SELECT account_id, agent_instance_id FROM feed_change
          WHERE position > (SELECT position FROM feed_consumer WHERE name = :consumer)
          ORDER BY position LIMIT :changes::bigint + 1
      ) AS examined
  )

-- name: totals.first_summaries
-- The summary of each run's earliest root span among its first 64 spans.
SELECT run.id, (
    SELECT first.summary FROM (
        SELECT t.id, t.parent_span_id, t.started_at, t.summary FROM agent_span AS t
        WHERE t.account_id = :account_id AND t.agent_instance_id = run.id
          AND NOT EXISTS (SELECT FROM deleted_run AS gone
                          WHERE gone.account_id = :account_id AND gone.id = run.id)
        ORDER BY t.id LIMIT 64
    ) AS first
    ORDER BY first.parent_span_id IS NOT NULL, first.started_at, first.id
    LIMIT 1
)
FROM unnest(:ids::text[]) AS run (id)

-- name: totals.runs
-- Runs by their ids.
SELECT {run} FROM agent_instance AS t
WHERE t.account_id = :account_id AND t.id = ANY (:ids::text[])

-- name: totals.due
-- Runs that are due to be counted, longest waiting first.
SELECT account_id, id, since FROM run_total_due ORDER BY since LIMIT :limit

-- name: totals.due_among
-- The given runs that are due to be counted.
SELECT id FROM run_total_due WHERE account_id = :account_id AND id = ANY (:ids::text[])

-- name: totals.other_prices
-- Totals that were computed with other prices.
SELECT {run_total} FROM run_total AS t
WHERE t.price_revision < :revision OR t.price_revision > :revision LIMIT :limit

-- name: totals.other_profiles
-- Totals that were computed with another profile than the agent's, or with an earlier version of
-- it.
WITH current AS MATERIALIZED (
    SELECT agent.account_id, agent.id,
           coalesce(profile.id || ' ' || profile.updated_at, '') AS revision
    FROM agent LEFT JOIN risk_profile AS profile
      ON profile.account_id = agent.account_id AND profile.id = agent.risk_profile_id
        AND profile.deleted_at IS NULL
)
SELECT * FROM (
    SELECT {run_total} FROM current JOIN run_total AS t
      ON t.account_id = current.account_id AND t.agent_id = current.id
        AND t.risk_revision < current.revision
    UNION ALL
    SELECT {run_total} FROM current JOIN run_total AS t
      ON t.account_id = current.account_id AND t.agent_id = current.id
        AND t.risk_revision > current.revision
) AS outdated LIMIT :limit
