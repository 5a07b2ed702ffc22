"""Newer declarations of span types: a result template and a second name."""

from typing import Any

import pytest

PLAIN = {"name": "llm", "params_schema": {"type": "object"}, "result_schema": {"type": "object"}}


async def _run(api_client: Any, *types: Any) -> Any:
    return await api_client.run(agent_schema_version={"span_type_schemas": list(types)})


async def test_the_result_template_applies_once_a_result_exists(api_client: Any) -> None:
    """The summary comes from the main template, and from the result template with a result."""
    declared = {**PLAIN, "template": "asks {{ q }}", "result_template": "{{ q }}: {{ a }}"}
    run = await _run(api_client, declared)
    asked = await api_client.span(run, schema_name="llm", payload={"q": "why"})
    silent = await api_client.span(run, schema_name="llm", payload={"q": "why"})
    at_once = {"status": "complete", "payload": {"q": "why"}, "result_payload": {"a": "so"}}
    whole = await api_client.span(run, schema_name="llm", **at_once)

    end = {"result_payload": {"a": "so"}}
    answered = (await api_client.post(f"/agent_spans/{asked['id']}/finish", end)).details
    ended = (await api_client.post(f"/agent_spans/{silent['id']}/finish", {})).details

    assert asked["summary"] == ended["summary"] == "asks why"
    assert answered["summary"] == whole["summary"] == "why: so"


@pytest.mark.parametrize("result_template", [None, "{% if"])
async def test_an_invalid_result_template_renders_nothing(
    api_client: Any, result_template: str | None
) -> None:
    """Without a result template, the main template applies; an invalid one renders nothing."""
    declared = {**PLAIN, "template": "asks {{ q }}", "result_template": result_template}
    run = await _run(api_client, declared)
    fields = {"status": "complete", "payload": {"q": "why"}, "result_payload": {"a": 1}}

    span = await api_client.span(run, schema_name="llm", **fields)

    assert span["summary"] == ("asks why" if result_template is None else None)


async def test_a_type_is_declared_under_both_of_its_names(api_client: Any) -> None:
    """Spans of either name are registered, checked and summarised; a repeat is one type."""
    declared = {**PLAIN, "name": "Model call", "spanType": "llm", "template": "{{ q }}"}
    repeat = {**PLAIN, "name": "tool", "spanType": "tool"}
    run = await _run(api_client, declared, repeat)

    spans = [
        await api_client.span(run, schema_name=name, payload={"q": 1})
        for name in ("llm", "Model call")
    ]
    path = f"/agent_schema_version/{run['agent_schema_version_id']}"
    types = (await api_client.get(path)).details["span_type_schemas"]

    assert [span["summary"] for span in spans] == ["1", "1"]
    assert all(span["schema_registered"] for span in spans)
    assert set(types) == {"llm", "Model call", "tool"}
    assert "spanType" not in types["llm"]


async def test_a_first_name_wins_over_a_second_name(api_client: Any) -> None:
    """A type keeps a name that another type uses as its second name, and the run registers."""
    own = {**PLAIN, "name": "llm", "title": "Its own"}
    other = {**PLAIN, "name": "Model call", "spanType": "llm", "title": "Another"}
    run = await _run(api_client, other, own)

    assert (await api_client.span(run, schema_name="llm"))["schema_title"] == "Its own"


@pytest.mark.parametrize("title", [None, "", "  "])
async def test_the_title_of_a_type_is_its_name_by_default(
    api_client: Any, title: str | None
) -> None:
    """Spans, schema versions and skeletons always have a title to show."""
    run = await _run(api_client, {**PLAIN, "title": title})
    span = await api_client.span(run, schema_name="llm")
    unknown = await api_client.span(run, schema_name="odd")
    path = f"/agent_schema_version/{run['agent_schema_version_id']}"
    skeleton = (await api_client.get(f"/agent_instance/{run['id']}/skeleton")).details

    assert (span["schema_title"], unknown["schema_title"]) == ("llm", "odd")
    assert (await api_client.get(path)).details["span_type_schemas"]["llm"]["title"] == "llm"
    assert {one["name"]: one["title"] for one in skeleton["schemas"]} == {
        "llm": "llm",
        "odd": "odd",
    }


async def test_the_result_template_is_shown(api_client: Any) -> None:
    """A schema version shows the template of results, and two that differ in it are two."""
    first = await _run(api_client, {**PLAIN, "result_template": "{{ a }}"})
    second = await _run(api_client, {**PLAIN, "result_template": "{{ b }}"})
    path = f"/agent_schema_version/{first['agent_schema_version_id']}"

    shown = (await api_client.get(path)).details["span_type_schemas"]["llm"]

    assert shown["result_template"] == "{{ a }}"
    assert first["agent_schema_version_id"] != second["agent_schema_version_id"]
