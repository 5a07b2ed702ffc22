-- The reads on PostgreSQL. Lists insert their filters, order and page.

-- name: account.all
-- All accounts, for the operator's command line.
SELECT id, name, partition, inserted_at, updated_at FROM account ORDER BY inserted_at, id

-- name: account.by_id
-- An account by its id.
SELECT id, name, partition, inserted_at, updated_at FROM account WHERE id = $1

-- name: token.by_hash
-- The token with a hash, and its account. This is the only read that does not start from an
-- account.
SELECT {token}, ROW(account.id, account.name, account.partition, account.inserted_at,
                    account.updated_at)
FROM api_token AS t JOIN account ON account.id = t.account_id
WHERE t.token_hash = $1

-- name: token.all
-- All tokens of an account.
SELECT {token} FROM api_token AS t WHERE t.account_id = $1 ORDER BY t.inserted_at, t.id

-- name: agent.by_ref
-- An agent by its id, or else by its external identifier, with its use.
SELECT {agent}, {use}
FROM agent AS t
WHERE t.account_id = $1 AND (t.id = $2 OR t.external_identifier = $2)
ORDER BY t.id = $2 DESC LIMIT 1

-- name: agent.page
-- A page of agents with their use, and the total number of agents.
SELECT ({total}), ARRAY(
    SELECT ROW({agent}, {use})
    FROM (SELECT * FROM agent {page}) AS t
)

-- name: agent.use
-- The time of an agent's latest registration, and whether anything refers to the agent. A part of
-- the statements above.
(
    SELECT max(run.inserted_at) FROM agent_instance AS run
    WHERE run.account_id = t.account_id AND run.agent_id = t.id
), EXISTS (
    SELECT FROM agent_deployment AS deployment
    WHERE deployment.account_id = t.account_id AND deployment.agent_id = t.id
) OR EXISTS (
    SELECT FROM agent_schema_version AS version
    WHERE version.account_id = t.account_id AND version.agent_id = t.id
)

-- name: agent.instance_counts
-- An agent's runs by status, in one environment or (NULL) in all.
SELECT status, count(*) FROM agent_instance
WHERE account_id = $1 AND agent_id = $2 AND ($3::text IS NULL OR environment_id = $3)
GROUP BY status

-- name: instance.by_id
-- A run by its id.
SELECT {run} FROM agent_instance AS t WHERE t.account_id = $1 AND t.id = $2

-- name: instance.skeleton
-- The spans of a run, without payloads. Those of a deleted run are not shown.
SELECT id, parent_span_id, schema_name, schema_title, status, started_at, finished_at, summary, flags,
       prompt_tokens, completion_tokens, total_tokens, model, tool_name
FROM agent_span WHERE account_id = $1 AND agent_instance_id = $2
  AND NOT EXISTS (SELECT FROM deleted_run AS gone WHERE gone.account_id = $1 AND gone.id = $2)

-- name: instance.page
-- A page of runs, and the total number of runs.
SELECT ({total}), ARRAY(
    SELECT ROW({run}) FROM (SELECT * FROM agent_instance {page}) AS t
)

-- name: identifiers.count
-- The number of an agent's rows with each external identifier.
SELECT external_identifier, count(*) FROM {table}
WHERE account_id = $1 AND agent_id = $2 AND external_identifier = ANY($3)
GROUP BY external_identifier

-- name: agent_deployment.current_versions
-- The current versions of an agent's deployments.
SELECT deployment.id, version.id, version.agent_schema_version_id
FROM agent_deployment AS deployment JOIN agent_version AS version
  ON version.account_id = deployment.account_id AND version.id = deployment.current_version_id
WHERE deployment.account_id = $1 AND deployment.agent_id = $2
ORDER BY deployment.id

-- name: span.by_id
-- A span with its payloads.
SELECT {span}, {payloads}
FROM visible_span AS t WHERE t.account_id = $1 AND t.id = $2

-- name: span.by_ids
-- Spans with their payloads, by id. Each is read alone, so that only the partitions of the ids are
-- read. The lowest and the highest id let PostgreSQL skip others before the statement begins.
SELECT {span}, {payloads}
FROM unnest($2::text[]) AS named (id)
CROSS JOIN LATERAL (
    SELECT * FROM visible_span AS span
    WHERE span.account_id = $1 AND span.id = named.id AND span.id >= $3 AND span.id <= $4
    LIMIT 1
) AS t

-- name: span.page
-- A page of spans with their payloads, the total number of spans, and whether any in the table are
-- not to be shown.
SELECT ({total}), ARRAY(
    SELECT ROW({span}, {payloads}) FROM (SELECT * FROM {source} {page}) AS t
), EXISTS (SELECT FROM deleted_run)

-- name: span.payloads
-- The payloads of a span, each with its part. A part of the statements above.
ARRAY(SELECT ROW(part, codec, body) FROM span_payload
      WHERE span_payload.account_id = t.account_id AND span_id = t.id)

-- name: schema_content.of_version
-- The content of a schema version.
SELECT content.codec, content.body
FROM agent_schema_version AS version JOIN schema_content AS content
  ON content.account_id = version.account_id AND content.content_hash = version.content_hash
WHERE version.account_id = $1 AND version.id = $2

-- name: row.by_id
-- A row of any table by its id.
SELECT {columns} FROM {table} AS t WHERE t.account_id = $1 AND t.id = $2

-- name: row.by_ids
-- Rows of any table by their ids.
SELECT {columns} FROM {table} AS t WHERE t.account_id = $1 AND t.id = ANY($2::text[])

-- name: row.page
-- A page of rows of any table, and their total number.
SELECT ({total}), ARRAY(
    SELECT ROW({columns}) FROM (SELECT * FROM {table} {page}) AS t
)

-- name: risk.span_usage
-- The spans of runs, counted by run, type and model, with their tokens and the time of their last
-- start or finish.
SELECT agent_instance_id, schema_name, model, count(*),
       count(coalesce(prompt_tokens, completion_tokens, total_tokens)),
       count(coalesce(prompt_tokens, completion_tokens)),
       coalesce(sum(prompt_tokens::float8), 0), coalesce(sum(completion_tokens::float8), 0),
       max(coalesce(finished_at, started_at))
FROM agent_span
WHERE account_id = $1 AND agent_instance_id = ANY(ARRAY(
    SELECT wanted.id FROM unnest($2::text[]) AS wanted (id)
    WHERE NOT EXISTS (SELECT FROM deleted_run AS gone
                      WHERE gone.account_id = $1 AND gone.id = wanted.id)))
GROUP BY agent_instance_id, schema_name, model

-- name: risk.profiles_of
-- The profiles of agents.
SELECT agent.id, {risk_profile}
FROM agent JOIN risk_profile AS t
  ON t.account_id = agent.account_id AND t.id = agent.risk_profile_id
WHERE agent.account_id = $1 AND agent.id = ANY($2::text[]) AND t.deleted_at IS NULL

-- name: risk.instances_of_agent
-- Runs of an agent after an id.
SELECT {run} FROM agent_instance AS t
WHERE t.account_id = $1 AND t.agent_id = $2 AND t.id > $3
ORDER BY t.id LIMIT $4

-- name: risk.current_types
-- The schema versions that are current for an agent, in one environment or (NULL) in all.
SELECT DISTINCT version.agent_schema_version_id
FROM agent_deployment AS deployment JOIN agent_version AS version
  ON version.account_id = deployment.account_id AND version.id = deployment.current_version_id
WHERE deployment.account_id = $1 AND deployment.agent_id = $2
  AND ($3::text IS NULL OR deployment.environment_id = $3)
ORDER BY version.agent_schema_version_id

-- name: risk.recorded_types
-- The spans of an agent by schema version and type, in one environment or (NULL) in all.
SELECT run.agent_schema_version_id, span.schema_name, count(*)
FROM agent_span AS span JOIN agent_instance AS run
  ON run.account_id = span.account_id AND run.id = span.agent_instance_id
WHERE span.account_id = $1 AND span.agent_id = $2
  AND ($3::text IS NULL OR span.environment_id = $3)
GROUP BY run.agent_schema_version_id, span.schema_name
