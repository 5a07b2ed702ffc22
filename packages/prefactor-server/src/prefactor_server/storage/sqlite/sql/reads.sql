-- The reads on SQLite, apart from lists, which storage/listing.py builds.

-- name: account.all
-- All accounts, for the operator's command line.
SELECT id, name, partition, inserted_at, updated_at FROM account ORDER BY inserted_at, id

-- name: token.by_hash
-- The token with a hash. This is the only read that does not start from an account.
SELECT id, account_id, token_scope, agent_id, environment_id, agent_deployment_id, token_hash,
       token_start, expires_at, inserted_at, status, last_used_at, updated_at
FROM api_token WHERE token_hash = :token_hash

-- name: account.by_id
-- An account by its id.
SELECT id, name, partition, inserted_at, updated_at FROM account WHERE id = :account_id

-- name: agent.use
-- The time of an agent's latest registration, and whether anything refers to the agent.
SELECT (
    SELECT max(inserted_at) FROM agent_instance
    WHERE account_id = :account_id AND agent_id = :agent_id
), EXISTS (
    SELECT 1 FROM agent_deployment WHERE account_id = :account_id AND agent_id = :agent_id
) OR EXISTS (
    SELECT 1 FROM agent_schema_version WHERE account_id = :account_id AND agent_id = :agent_id
)

-- name: agent.instance_counts
-- An agent's runs by status, in one environment or (NULL) in all.
SELECT status, count(*) FROM agent_instance
WHERE account_id = :account_id AND agent_id = :agent_id
  AND (:environment_id IS NULL OR environment_id = :environment_id)
GROUP BY status

-- name: agent_deployment.current_versions
-- The current versions of an agent's deployments.
SELECT deployment.id, version.id, version.agent_schema_version_id
FROM agent_deployment AS deployment JOIN agent_version AS version
  ON version.account_id = deployment.account_id AND version.id = deployment.current_version_id
WHERE deployment.account_id = :account_id AND deployment.agent_id = :agent_id
ORDER BY deployment.id

-- name: instance.skeleton
-- The spans of a run, without payloads. Those of a deleted run are not shown.
SELECT id, parent_span_id, schema_name, schema_title, status, started_at, finished_at, summary, flags,
       prompt_tokens, completion_tokens, total_tokens, model, tool_name
FROM agent_span WHERE account_id = :account_id AND agent_instance_id = :instance_id
  AND NOT EXISTS (SELECT 1 FROM deleted_run
                  WHERE deleted_run.account_id = :account_id AND deleted_run.id = :instance_id)

-- name: span.payloads
-- The payloads of a span. Either payload may be missing.
SELECT payload.id & 1, payload.codec, payload.body
FROM agent_span JOIN span_payload AS payload
  ON payload.id BETWEEN agent_span.seq * 2 AND agent_span.seq * 2 + 1
WHERE agent_span.account_id = :account_id AND agent_span.id = :span_id

-- name: schema_content.of_version
-- The content of a schema version.
SELECT content.codec, content.body
FROM agent_schema_version AS version JOIN schema_content AS content
  ON content.account_id = version.account_id AND content.content_hash = version.content_hash
WHERE version.account_id = :account_id AND version.id = :schema_version_id

-- name: risk.span_usage
-- The spans of runs, counted by run, type and model, with their tokens and the time of their last
-- start or finish.
SELECT agent_instance_id, schema_name, model, count(*),
       count(coalesce(prompt_tokens, completion_tokens, total_tokens)),
       count(coalesce(prompt_tokens, completion_tokens)),
       total(prompt_tokens), total(completion_tokens), max(coalesce(finished_at, started_at))
FROM agent_span
WHERE account_id = :account_id AND agent_instance_id IN (
    SELECT value FROM json_each(:ids)
    EXCEPT SELECT id FROM deleted_run WHERE account_id = :account_id)
GROUP BY agent_instance_id, schema_name, model

-- name: risk.profiles_of
-- The profiles of agents.
SELECT agent.id, {risk_profile}
FROM agent JOIN risk_profile AS t
  ON t.account_id = agent.account_id AND t.id = agent.risk_profile_id
WHERE agent.account_id = :account_id AND agent.id IN (SELECT value FROM json_each(:ids)) AND t.deleted_at IS NULL

-- name: risk.instances_of_agent
-- Runs of an agent after an id.
SELECT {run} FROM agent_instance AS t
WHERE t.account_id = :account_id AND t.agent_id = :agent_id AND t.id > :after
ORDER BY t.id LIMIT :limit

-- name: risk.current_types
-- The schema versions that are current for an agent, in one environment or (NULL) in all.
SELECT DISTINCT version.agent_schema_version_id
FROM agent_deployment AS deployment JOIN agent_version AS version
  ON version.account_id = deployment.account_id AND version.id = deployment.current_version_id
WHERE deployment.account_id = :account_id AND deployment.agent_id = :agent_id
  AND (:environment_id IS NULL OR deployment.environment_id = :environment_id)
ORDER BY version.agent_schema_version_id

-- name: risk.recorded_types
-- The spans of an agent by schema version and type, in one environment or (NULL) in all.
SELECT run.agent_schema_version_id, span.schema_name, count(*)
FROM agent_span AS span JOIN agent_instance AS run
  ON run.account_id = span.account_id AND run.id = span.agent_instance_id
WHERE span.account_id = :account_id AND span.agent_id = :agent_id
  AND (:environment_id IS NULL OR span.environment_id = :environment_id)
GROUP BY run.agent_schema_version_id, span.schema_name
