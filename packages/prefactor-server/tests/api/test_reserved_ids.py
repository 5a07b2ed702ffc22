"""Words that paths use in place of ids: no new object may have one as its id."""

from typing import Any

import pytest

from prefactor_server.domain.ids import RESERVED_IDS

CREATIONS = [
    ("/agent", {"name": "A"}),
    ("/environment", {"name": "E"}),
    ("/risk_profile", {"name": "R"}),
    ("/agent_deployment", {"agent_id": "agent-1", "environment_id": "e"}),
    ("/agent_version", {"agent_id": "agent-1", "external_identifier": "1"}),
    ("/agent_schema_version", {"agent_id": "agent-1", "external_identifier": "1"}),
    ("/agent_spans", {"agent_instance_id": "run-1", "schema_name": "s"}),
]


@pytest.mark.parametrize("word", RESERVED_IDS)
async def test_reserved_words_are_refused_as_ids(api_client: Any, word: str) -> None:
    """Every creation, and a registration, refuses a reserved word as an id and says why."""
    await api_client.register("run-1")

    for path, fields in CREATIONS:
        answer = await api_client.post(path, {"details": {**fields, "id": word}})
        found = answer.refused(422, "validation_errors")["errors"]["details"]
        assert list(found) == ["id"]
        assert word in found["id"]["message"]
    run = await api_client.post("/agent_instance/register", {"agent_id": "agent-1", "id": word})
    assert list(run.refused(422, "validation_errors")["errors"]) == ["id"]


async def test_a_reserved_word_may_be_part_of_an_id(api_client: Any) -> None:
    """Only the exact word is reserved, and references may be any id."""
    for run_id in ("show-1", "SHOW", "exports"):
        assert (await api_client.register(run_id))["id"] == run_id
    assert (await api_client.get("/agent_spans", {"agent_instance_id": "show"})).summaries == []
    missing = {"agent_instance_id": "show", "schema_name": "s"}
    (await api_client.post("/agent_spans", {"details": missing})).refused(404, "not_found")
