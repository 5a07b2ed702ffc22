"""The sequences of calls that published clients make, spelled as they spell them."""

from typing import Any

CORE_SCHEMA = {
    "external_identifier": "plugin-1",
    "span_type_schemas": [
        {
            "name": "langchain:llm",
            "title": "LLM",
            "description": None,
            "params_schema": {
                "$schema": "http://json-schema.org/draft-07/schema#",
                "type": "object",
                "additionalProperties": True,
            },
            "result_schema": {"type": "object", "additionalProperties": True},
            "template": "{{ inputs.model }}",
            "data_risk": None,
        }
    ],
    "quality_schemas": [
        {
            "name": "helpful",
            "title": None,
            "description": None,
            "template": "{{ grade }}",
            "data_risk": None,
            "schema": {"type": "object"},
        }
    ],
}
LLM_PAYLOAD = {
    "span_id": "5a8bdc1c-0c11-4f4e-9bb9-1e1e6f0d3f52",
    "trace_id": "t-1",
    "name": "ChatOpenAI",
    "status": "running",
    "inputs": {"model": "gpt-4", "messages": ["Hi"]},
    "metadata": {},
}


async def test_the_first_python_client(api_client: Any) -> None:
    """An account token, no environment, nulls spelled out, and span keys inside of details."""
    run = await api_client.register(
        agent_version={"name": "Bot", "external_identifier": "1.0.0"},
        agent_schema_version={
            "external_identifier": "s1",
            "span_schemas": {"agent:llm": {"type": "object"}},
            "span_result_schemas": {"agent:llm": {"type": "object"}},
        },
        update_current_version=True,
        idempotency_key="register-1",
    )
    path = f"/agent_instance/{run['id']}"
    started = (await api_client.post(f"{path}/start", {"timestamp": None})).details
    details = {
        "agent_instance_id": run["id"],
        "schema_name": "agent:llm",
        "status": "active",
        "payload": {},
        "idempotency_key": "span-1",
    }
    span = (await api_client.post("/agent_spans", {"details": details})).details
    again = await api_client.post("/agent_spans", {"details": details})
    finish = {"timestamp": None, "result_payload": {"response": "Hello"}}
    finished = (await api_client.post(f"/agent_spans/{span['id']}/finish", finish)).details
    ended = (await api_client.post(f"{path}/finish", {"status": "complete"})).details

    assert set(run["span_counts"]) >= {"total", "pending", "active", "complete", "finished"}
    assert started["status"] == "active"
    assert again.replayed
    assert finished["result_payload"] == {"response": "Hello"}
    assert (ended["status"], ended["span_counts"]["complete"]) == ("complete", 1)


async def test_the_python_core_and_its_integrations(api_client: Any) -> None:
    """With a deployment token: ping, a run without agent, its poll, quality, and the end."""
    token = await api_client.deployment_token(await api_client.register())
    keys = (f"5f0c9a{number:06}" for number in range(100))

    async def post(path: str, body: Any) -> Any:
        return await api_client.post(path, {**body, "idempotency_key": next(keys)}, token=token)

    ping = await api_client.get("/ping", token=token)
    register = {
        "agent_version": {"name": "Bot", "external_identifier": "1.0.0"},
        "agent_schema_version": CORE_SCHEMA,
        "purpose": "live",
        "update_current_version": True,
    }
    run = (await post("/agent_instance/register", register)).details
    path = f"/agent_instance/{run['id']}"
    await post(f"{path}/start", {"timestamp": None})
    details = {
        "agent_instance_id": run["id"],
        "schema_name": "langchain:llm",
        "status": "active",
        "payload": LLM_PAYLOAD,
        "started_at": "2026-01-01T00:00:00.000000+00:00",
    }
    span = (await post("/agent_spans", {"details": details})).details
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    result = {"status": "complete", "result_payload": {"outputs": {}, "token_usage": usage}}
    finished = (await post(f"/agent_spans/{span['id']}/finish", result)).details
    polled = (await api_client.get(path, token=token)).details
    quality = await post(f"{path}/record_quality", {"name": "helpful", "payload": {"grade": "A"}})
    removed = await post(f"{path}/record_quality", {"name": "helpful", "payload": None})
    ended = (await post(f"{path}/finish", {"status": "cancelled"})).details
    twice = await post(f"{path}/finish", {"status": "complete"})

    assert ping.status == 200
    assert (finished["total_tokens"], finished["model"]) == (7, "gpt-4")
    assert finished["payload_validation"] == {"status": "success", "message": None}
    assert (polled["status"], polled["termination_reason"]) == ("active", None)
    assert polled["agent_deployment_id"] == run["agent_deployment_id"]
    assert quality.details["quality_summaries"] == {"helpful": "A"}
    assert removed.details["quality_payloads"] == {}
    assert ended["status"] == "cancelled"
    twice.refused(409, "invalid_action")


async def test_an_agent_learns_of_its_termination_in_both_ways(api_client: Any) -> None:
    """The poll shows the status and reason, and the next span is stored and carries the signal."""
    run = await api_client.run("active")
    token = await api_client.deployment_token(run)
    path = f"/agent_instance/{run['id']}"
    await api_client.post(f"{path}/terminate", {"reason": "budget exceeded"})

    polled = (await api_client.get(path, token=token)).details
    details = {"agent_instance_id": run["id"], "schema_name": "s", "status": "active"}
    span = await api_client.post("/agent_spans", {"details": details}, token=token)
    finished = await api_client.post(f"/agent_spans/{span.details['id']}/finish", {}, token=token)

    assert (polled["status"], polled["termination_reason"]) == ("terminated", "budget exceeded")
    signal = {"terminate": True, "reason": "budget exceeded"}
    assert span.body["control"] == finished.body["control"] == signal


async def test_the_typescript_core(api_client: Any) -> None:
    """No version and no schema, explicit nulls, keys at the top, wrapped results."""
    token = await api_client.deployment_token(await api_client.register())
    sdk = {"X-Prefactor-SDK": "@prefactor/core@0.4.3"}

    async def post(path: str, body: Any) -> Any:
        return await api_client.post(path, body, token=token, headers=sdk)

    pinged = await api_client.get("/ping", token=token, headers=sdk)
    registered = await post(
        "/agent_instance/register", {"idempotency_key": "0f2c6a52-9f4e-4f5c-8d6a-1"}
    )
    run = registered.details
    path = f"/agent_instance/{run['id']}"
    await post(f"{path}/start", {"timestamp": "2026-01-01T00:00:00.123Z"})
    details = {
        "agent_instance_id": run["id"],
        "schema_name": "ai-sdk:tool",
        "status": "active",
        "payload": {**LLM_PAYLOAD, "inputs": {"ai.model.id": "claude"}},
        "parent_span_id": None,
        "started_at": "2026-01-01T00:00:00.456Z",
        "finished_at": None,
    }
    created = await post("/agent_spans", {"details": details, "idempotency_key": "span-1"})
    again = await post("/agent_spans", {"details": details, "idempotency_key": "span-1"})
    child = {**details, "parent_span_id": created.details["id"], "status": "complete"}
    whole = {**child, "finished_at": "2026-01-01T00:00:01.000Z", "result_payload": {"result": 42}}
    await post("/agent_spans", {"details": whole, "idempotency_key": "span-2"})
    finish = {
        "timestamp": "2026-01-01T00:00:02.000Z",
        "status": "failed",
        "result_payload": {"error": {"error_type": "TypeError", "message": "m", "stacktrace": ""}},
        "idempotency_key": "finish-1",
    }
    finished = await post(f"/agent_spans/{created.details['id']}/finish", finish)
    conflict = await post(
        f"/agent_spans/{created.details['id']}/finish", {**finish, "idempotency_key": "finish-2"}
    )
    ended = await post(f"{path}/finish", {"status": "complete", "timestamp": None})

    assert pinged.status == 200
    assert again.replayed
    assert created.details["started_at"] == "2026-01-01T00:00:00.456000Z"
    assert created.details["model"] == "claude"
    assert finished.details["status"] == "failed"
    conflict.refused(409, "invalid_action")
    assert ended.details["span_counts"]["total"] == 2


async def test_the_open_dashboard(api_client: Any) -> None:
    """Account, agents, an agent's newest spans by page, runs, one run in full, and alerts."""
    run = await api_client.run("active")
    for number in range(5):
        await api_client.span(run, id=f"span-{number}", payload=LLM_PAYLOAD)
    newest = {"sorting[field]": "id", "sorting[direction]": "desc"}

    (account,) = (await api_client.get("/account")).summaries
    (agent,) = (await api_client.get("/agent", {"account_id": account["id"], **newest})).summaries
    ids = []
    offset: int | None = 0
    while offset is not None:
        query = {
            "agent_id": agent["id"],
            "include_summaries": "true",
            "include_risk_level": "true",
            "pagination[offset]": str(offset),
            "pagination[page_size]": "2",
            **newest,
        }
        page = await api_client.get("/agent_spans", query)
        ids += [row["id"] for row in page.summaries]
        assert page.body["sorting"] == {"field": "id", "direction": "desc"}
        offset = page.body["pagination"]["next_page_offset"]
    runs = await api_client.get("/agent_instance", {"agent_id": agent["id"], **newest})
    risks = {"include_risk_score": "true"}
    shown = (await api_client.get(f"/agent_instance/{run['id']}", risks)).details
    profiles = await api_client.get("/risk_profile", {"account_id": account["id"], **newest})
    alerts = await api_client.get("/alerts/count")

    assert set(agent) >= {"id", "name", "status", "type", "updated_at"}
    assert ids == [f"span-{number}" for number in (4, 3, 2, 1, 0)]
    assert [one["id"] for one in runs.summaries] == [run["id"]]
    assert shown["span_schema_counts"] == {"step": 5, "by_name": {"step": 5}}
    assert shown["risk_score"] is None
    assert profiles.status == 200
    assert type(alerts.body["count"]) is int
    assert "details" not in alerts.body


async def test_the_evals_library(api_client: Any) -> None:
    """Runs and spans are read, quality is merged and written back, and a probe run is recorded."""
    run = await api_client.run("complete")
    await api_client.span(run, schema_name="llm", payload=LLM_PAYLOAD)
    pages = {"pagination[page_size]": "100", "pagination[offset]": "0"}

    (agent,) = (await api_client.get("/agent", pages)).summaries
    (listed,) = (
        await api_client.get("/agent_instance", {"agent_id": agent["id"], **pages})
    ).summaries
    path = f"/agent_instance/{listed['id']}"
    before = (await api_client.get(path)).details
    of_run = {"agent_instance_id": run["id"], "include_summaries": "true", **pages}
    (span,) = (await api_client.get("/agent_spans", of_run)).summaries
    merged = {**(before["quality_payload"] or {}), "accuracy": {"score": 1}}
    await api_client.call("PUT", path, {"details": {"quality_payload": merged}})
    after = (await api_client.get(path)).details
    probe = await api_client.register(
        agent_id=agent["id"],
        environment_id=run["environment_id"],
        purpose="eval",
        update_current_version=False,
        agent_version={"external_identifier": "probe"},
        agent_schema_version={"quality_schemas": CORE_SCHEMA["quality_schemas"]},
    )
    of_probe = f"/agent_instance/{probe['id']}"
    cancelled = (await api_client.post(f"{of_probe}/finish", {"status": "cancelled"})).details
    live = await api_client.run("active")
    stopped = await api_client.post(f"/agent_instance/{live['id']}/terminate", {"reason": "unsafe"})

    assert {
        "id",
        "account_id",
        "agent_id",
        "agent_version_id",
        "environment_id",
        "started_at",
        "finished_at",
        "inserted_at",
        "updated_at",
        "status",
        "termination_reason",
        "purpose",
        "risk_score",
        "type",
    } <= set(listed)
    assert {"cost_breakdown", "span_counts", "span_schema_counts", "risk_score"} <= set(before)
    assert set(span) >= {"sensitive_encoding", "payload_byte_size_estimate", "purpose"}
    assert span["payload"] == LLM_PAYLOAD
    assert after["quality_payload"] == {"accuracy": {"score": 1}}
    assert (cancelled["status"], cancelled["purpose"]) == ("cancelled", "eval")
    assert stopped.details["termination_reason"] == "unsafe"


async def test_the_newest_public_clients(api_client: Any) -> None:
    """A profile made of a ruleset, its template, a run by its name, and spans without secrets."""
    template = (
        await api_client.get("/risk_profile/template", {"template_name": "default"})
    ).details
    nulls = {part: dict.fromkeys(template["ruleset"][part]) for part in template["ruleset"]}
    ruleset = {**nulls, "thresholds": {"medium": 1, "high": 2, "critical": 3}}
    body = {"details": {"name": "P", "ruleset": ruleset}}
    profile = (await api_client.post("/risk_profile", body)).details
    details = {"name": "A", "id": "agent-1", "risk_profile_id": profile["id"]}
    await api_client.post("/agent", {"details": details})
    declared = {"name": "Model call", "spanType": "llm", "params_schema": {"type": "object"}}
    declared |= {"result_schema": {"type": "object"}, "result_template": "{{ a }}"}
    run = await api_client.run(
        external_identifier="nightly", agent_schema_version={"span_type_schemas": [declared]}
    )
    path = f"/agent_instance/{run['id']}"
    secret = {"$sensitive": "string", "value": "hidden"}
    span = await api_client.span(
        run,
        schema_name="llm",
        status="complete",
        payload={"q": secret},
        result_payload={"a": "so"},
    )
    quality = await api_client.post(f"{path}/record_quality", {"name": "helpful", "payload": {}})
    flags = ("include_counts", "include_costs", "include_risk_score", "include_alert_count")
    asked = {"external_identifier": "nightly", **dict.fromkeys(flags, "true")}
    shown = (await api_client.get("/agent_instance/show", asked)).details
    span_path = f"/agent_spans/{span['id']}"
    redacted = (await api_client.get(span_path, {"redacted": "true"})).details
    discarded = (await api_client.post(f"{span_path}/discard_sensitive", {})).details
    pinned = {"details": {"current_version_id": run["agent_version_id"]}}
    agent = await api_client.call("PUT", "/agent/agent-1", pinned)
    rollup = (await api_client.get("/agent/show?agent_id=agent-1&include_risk_rollup=true")).body
    context = (await api_client.get(f"{path}/agent_context")).body["agent_context"]

    assert all(type(one) is str for one in quality.details["quality_summaries"].values())
    assert profile["ruleset"]["category_weights"] == template["ruleset"]["category_weights"]
    assert {"agreed_data_risk", "ruleset"} <= set(profile)
    assert {"last_activity_span_at", "raised_alert_count"} <= set(shown)
    assert {"groups", "input_cost", "output_cost"} <= set(shown["cost_breakdown"])
    assert shown["span_schema_counts"]["by_name"] == {"llm": 1}
    assert (span["schema_title"], span["summary"]) == ("llm", "so")
    assert redacted["payload"]["q"]["value"] is discarded["payload"]["q"]["value"] is None
    assert agent.status == 200
    assert set(rollup["risk_rollup"]) == {"observed_risk", "theoretical_risk"}
    assert context["span_count"] == 1
