-- The parts of the statement that loads the rows a batch needs; see load.py. Named values are
-- arrays with one element for each needed row. `t` is the loaded row.

-- name: tokens
-- Tokens by id.
unnest(:accounts::text[], :ids::text[]) AS named (account_id, id)
JOIN api_token AS t ON t.account_id = named.account_id AND t.id = named.id

-- name: environments
-- Environments by id.
unnest(:accounts::text[], :ids::text[]) AS named (account_id, id)
JOIN environment AS t ON t.account_id = named.account_id AND t.id = named.id

-- name: accounts
-- Accounts by id.
unnest(:accounts::text[]) AS named (id) JOIN account AS t ON t.id = named.id

-- name: agents.deployments
-- All deployments of agents.
unnest(:accounts::text[], :ids::text[]) AS named (account_id, id)
JOIN agent_deployment AS t ON t.account_id = named.account_id AND t.agent_id = named.id

-- name: agents.schema_versions
-- One schema version of each agent, to know whether there is any.
unnest(:accounts::text[], :ids::text[]) AS named (account_id, id)
CROSS JOIN LATERAL (
    SELECT * FROM agent_schema_version AS version
    WHERE version.account_id = named.account_id AND version.agent_id = named.id LIMIT 1
) AS t

-- name: agents.instances
-- The latest run of each agent.
unnest(:accounts::text[], :ids::text[]) AS named (account_id, id)
CROSS JOIN LATERAL (
    SELECT * FROM agent_instance AS run
    WHERE run.account_id = named.account_id AND run.agent_id = named.id
    ORDER BY run.inserted_at DESC LIMIT 1
) AS t

-- name: environments.deployments
-- All deployments in environments.
unnest(:accounts::text[], :ids::text[]) AS named (account_id, id)
JOIN agent_deployment AS t ON t.account_id = named.account_id AND t.environment_id = named.id

-- name: deployments.tokens
-- All tokens of deployments.
unnest(:accounts::text[], :ids::text[]) AS named (account_id, id)
JOIN api_token AS t ON t.account_id = named.account_id AND t.agent_deployment_id = named.id

-- name: deployments.instances
-- One run of each deployment, to know whether there is any.
unnest(:accounts::text[], :ids::text[]) AS named (account_id, id)
CROSS JOIN LATERAL (
    SELECT * FROM agent_instance AS run
    WHERE run.account_id = named.account_id AND run.agent_deployment_id = named.id LIMIT 1
) AS t

-- name: agents.by_id
-- Agents by id.
unnest(:accounts::text[], :refs::text[]) AS named (account_id, ref)
JOIN agent AS t ON t.account_id = named.account_id AND t.id = named.ref

-- name: agents.by_external_identifier
-- Agents by external identifier.
unnest(:accounts::text[], :refs::text[]) AS named (account_id, ref)
JOIN agent AS t ON t.account_id = named.account_id AND t.external_identifier = named.ref

-- name: keys
-- Used idempotency keys.
unnest(:accounts::text[], :operations::text[], :keys::text[]) AS named (account_id, operation, key)
JOIN idempotency_key AS t
  ON t.account_id = named.account_id AND t.operation = named.operation AND t.key = named.key

-- name: with.spans
-- Spans by id, also used to find their runs. The lowest and the highest id let PostgreSQL skip
-- partitions before the statement begins.
span AS MATERIALIZED (
    SELECT t.*
    FROM unnest(:accounts::text[], :ids::text[]) AS named (account_id, id)
    JOIN visible_span AS t ON t.account_id = named.account_id AND t.id = named.id
    WHERE t.id >= :lowest::text AND t.id <= :highest::text
)

-- name: spans
-- The spans of `with.spans`.
span AS t

-- name: instances
-- Runs by id.
unnest(:accounts::text[], :ids::text[]) AS named (account_id, id)
JOIN agent_instance AS t ON t.account_id = named.account_id AND t.id = named.id

-- name: instances.of_spans
-- The runs of these spans, because a finish names only its span.
(SELECT DISTINCT account_id, agent_instance_id FROM span) AS named
JOIN agent_instance AS t ON t.account_id = named.account_id AND t.id = named.agent_instance_id

-- name: with.registrations
-- The rows that registrations may find: agent and environment, their deployment with its current
-- version and schema version, the schema version with the declared content or id, and the versions
-- with the same metadata.
wanted AS MATERIALIZED (
    SELECT * FROM unnest(
        :accounts::text[], :refs::text[], :environments::text[], :contents::bytea[],
        :metadata::bytea[], :identifiers::text[], :versions::text[]
    ) AS w (account_id, ref, environment_id, content_hash, metadata_hash, external_identifier,
            agent_schema_version_id)
), found AS MATERIALIZED (
    SELECT wanted.*, agent.id AS agent_id
    FROM wanted JOIN agent ON agent.account_id = wanted.account_id AND agent.id = wanted.ref
    UNION ALL
    SELECT wanted.*, agent.id
    FROM wanted JOIN agent
      ON agent.account_id = wanted.account_id AND agent.external_identifier = wanted.ref
), found_environment AS MATERIALIZED (
    SELECT DISTINCT t.*
    FROM wanted JOIN environment AS t
      ON t.account_id = wanted.account_id AND (t.is_default OR t.id = wanted.environment_id)
), found_deployment AS MATERIALIZED (
    SELECT DISTINCT t.*
    FROM found JOIN found_environment AS environment ON environment.account_id = found.account_id
    JOIN agent_deployment AS t
      ON t.account_id = found.account_id AND t.agent_id = found.agent_id
        AND t.environment_id = environment.id
), current_version AS MATERIALIZED (
    SELECT t.*
    FROM found_deployment AS deployment JOIN agent_version AS t
      ON t.account_id = deployment.account_id AND t.id = deployment.current_version_id
), found_schema_version AS MATERIALIZED (
    SELECT t.*
    FROM current_version AS version JOIN agent_schema_version AS t
      ON t.account_id = version.account_id AND t.id = version.agent_schema_version_id
    UNION
    SELECT t.*
    FROM found JOIN agent_schema_version AS t
      ON t.account_id = found.account_id AND t.agent_id = found.agent_id
        AND t.content_hash = found.content_hash
    UNION
    SELECT t.*
    FROM found JOIN agent_schema_version AS t
      ON t.account_id = found.account_id AND t.id = found.agent_schema_version_id
        AND t.agent_id = found.agent_id
), found_version AS MATERIALIZED (
    SELECT * FROM current_version
    UNION
    SELECT t.*
    FROM found JOIN found_schema_version AS schema_version
      ON schema_version.account_id = found.account_id AND schema_version.agent_id = found.agent_id
    JOIN agent_version AS t
      ON t.account_id = found.account_id AND t.agent_id = found.agent_id
        AND t.metadata_hash = found.metadata_hash
        AND t.agent_schema_version_id = schema_version.id
)

-- name: registrations.agents
-- The agents of registrations.
(SELECT DISTINCT account_id, agent_id FROM found) AS named
JOIN agent AS t ON t.account_id = named.account_id AND t.id = named.agent_id

-- name: registrations.environments
-- The environments of registrations.
found_environment AS t

-- name: registrations.deployments
-- The deployments of registrations.
found_deployment AS t

-- name: registrations.schema_versions
-- The schema versions that registrations may use.
found_schema_version AS t

-- name: registrations.versions
-- The versions that registrations may use.
found_version AS t

-- name: registrations.instances
-- Runs with the external identifier of a registration.
(SELECT DISTINCT account_id, agent_id, external_identifier FROM found) AS named
JOIN agent_instance AS t
  ON t.account_id = named.account_id AND t.agent_id = named.agent_id
    AND t.external_identifier = named.external_identifier

-- name: rows
-- Rows of any table by id.
unnest(:accounts::text[], :ids::text[]) AS named (account_id, id)
JOIN {table} AS t ON t.account_id = named.account_id AND t.id = named.id

-- name: holds
-- The legal holds of runs.
unnest(:accounts::text[], :ids::text[]) AS named (account_id, id)
JOIN {table} AS t ON t.account_id = named.account_id AND t.agent_instance_id = named.id

-- name: alerts
-- The raised alerts of runs, by name.
unnest(:accounts::text[], :runs::text[], :names::text[]) AS named (account_id, run_id, name)
JOIN alert AS t
  ON t.account_id = named.account_id AND t.agent_instance_id = named.run_id
    AND t.name = named.name AND t.status = 'raised'

-- name: sessions.of_owners
-- All sessions of people or tokens.
unnest(:accounts::text[], :ids::text[]) AS named (account_id, id)
JOIN session AS t ON t.account_id = named.account_id AND t.owner_id = named.id

-- name: counts.raised_alerts
-- The number of raised alerts of runs.
(
    SELECT named.account_id, 'raised_alerts'::text AS "limit", named.id AS owner_id, (
        SELECT count(*) FROM alert
        WHERE alert.account_id = named.account_id AND alert.agent_instance_id = named.id
          AND alert.status = 'raised'
    ) AS number
    FROM unnest(:accounts::text[], :ids::text[]) AS named (account_id, id)
) AS t

-- name: counts.webhooks
-- The number of webhooks of accounts.
(
    SELECT named.account_id, 'webhooks'::text AS "limit", named.id AS owner_id, (
        SELECT count(*) FROM webhook
        WHERE webhook.account_id = named.account_id AND webhook.deleted_at IS NULL
    ) AS number
    FROM unnest(:accounts::text[], :ids::text[]) AS named (account_id, id)
) AS t
