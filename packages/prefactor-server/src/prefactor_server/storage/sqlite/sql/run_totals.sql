-- The totals of runs.

-- name: totals.of
-- The totals of some runs.
SELECT {total} FROM run_total AS t
WHERE t.account_id = :account_id AND t.id IN (SELECT value FROM json_each(:ids))

-- name: totals.first_summaries
-- What the earliest root among the first spans of some runs says.
SELECT run.value, (
    SELECT first.summary FROM (
        SELECT id, parent_span_id, started_at, summary FROM agent_span
        WHERE account_id = :account_id AND agent_instance_id = run.value
        ORDER BY id LIMIT 64
    ) AS first
    ORDER BY first.parent_span_id IS NOT NULL, first.started_at IS NULL, first.started_at, first.id
    LIMIT 1
)
FROM json_each(:ids) AS run

-- name: totals.runs
-- Some runs.
SELECT {run} FROM agent_instance AS t
WHERE t.account_id = :account_id AND t.id IN (SELECT value FROM json_each(:ids))

-- name: totals.due
-- Runs to be counted.
SELECT account_id, id, since FROM run_total_due ORDER BY since LIMIT :limit

-- name: totals.due_among
-- Those of some runs that are to be counted.
SELECT id FROM run_total_due WHERE account_id = :account_id AND id IN (SELECT value FROM json_each(:ids))

-- name: totals.other_prices
-- Totals that were made with other prices.
SELECT {total} FROM run_total AS t
WHERE t.price_revision < :revision OR t.price_revision > :revision LIMIT :limit

-- name: totals.other_profiles
-- Totals that were made with another profile than the agent has, or an earlier state of it.
WITH current AS MATERIALIZED (
    SELECT agent.account_id, agent.id,
           coalesce(profile.id || ' ' || profile.updated_at, '') AS revision
    FROM agent LEFT JOIN risk_profile AS profile
      ON profile.account_id = agent.account_id AND profile.id = agent.risk_profile_id
        AND profile.deleted_at IS NULL
)
SELECT * FROM (
    SELECT {total} FROM current CROSS JOIN run_total AS t
      ON t.account_id = current.account_id AND t.agent_id = current.id
        AND t.risk_revision < current.revision
    UNION ALL
    SELECT {total} FROM current CROSS JOIN run_total AS t
      ON t.account_id = current.account_id AND t.agent_id = current.id
        AND t.risk_revision > current.revision
) LIMIT :limit
