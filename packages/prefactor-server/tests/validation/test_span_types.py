"""The span types of a schema version, and what they say about a span."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefactor_server.validation.budget import Budget
from prefactor_server.validation.liquid.template import MAX_SUMMARY, TemplateProblem
from prefactor_server.validation.span_types import SpanCheck, SpanTypeCompiler, SpanTypes

LLM: dict[str, object] = {
    "name": "agent:llm",
    "title": "Model call",
    "params_schema": {"type": "object", "required": ["model"]},
    "result_schema": {"type": "object", "properties": {"text": {"type": "string"}}},
    "template": "{{ model }}: {{ text }}",
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "title", "params_schema", "result_schema", "template", "x"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


def check_span(
    types: SpanTypes,
    name: str,
    payload: dict[str, object],
    result: dict[str, object] | None,
    *,
    finished: bool,
    budget: Budget | None = None,
) -> SpanCheck:
    """Check one span as its type does."""
    budget = budget or Budget()
    return types.checker(name, budget).check(payload, result, finished=finished, budget=budget)


def check(
    declared: object,
    payload: dict[str, object],
    result: dict[str, object] | None = None,
    *,
    name: str = "agent:llm",
    finished: bool = False,
) -> SpanCheck:
    """Compile span types and check one span with them."""
    types = SpanTypeCompiler().declared(declared)
    return check_span(types, name, payload, result, finished=finished)


def test_a_span_that_matches_its_type() -> None:
    """A span of a declared type gets its title, clean checks and its summary."""
    found = check([LLM], {"model": "m"}, {"text": "hi"}, finished=True)
    assert found == SpanCheck("Model call", True, "", "", "m: hi")


def test_a_span_that_does_not_match_is_flagged() -> None:
    """Both payloads are checked, and the summary is still rendered."""
    found = check([LLM], {}, {"text": 3}, finished=True)
    assert found.params_problem == '"model" is a required property'
    assert found.result_problem == '"/text": 3 is not of type "string"'
    assert found.summary == ": 3"


def test_an_open_span_has_no_result_to_check() -> None:
    """Without a result nothing is reported about it, and the summary shows the rest."""
    found = check([LLM], {"model": "m"})
    assert (found.params_problem, found.result_problem, found.summary) == ("", None, "m:")


def test_a_finished_span_needs_a_result() -> None:
    """When a span has finished, a missing result is checked as an empty one."""
    strict = {**LLM, "result_schema": {"required": ["text"]}}
    assert check([LLM], {"model": "m"}, finished=True).result_problem == ""
    assert "text" in (check([strict], {"model": "m"}, finished=True).result_problem or "")


def test_an_unregistered_type_is_accepted_as_it_is() -> None:
    """A span of an undeclared type has its name as title and is not checked."""
    found = check([LLM], {"model": 3}, {"x": 1}, name="custom:thing", finished=True)
    assert found == SpanCheck("custom:thing", False, None, None, None)


def test_a_missing_result_schema_means_an_empty_result() -> None:
    """A type that declares no result schema declares that results are empty."""
    declared = [{"name": "agent:llm", "params_schema": {}}]
    assert check(declared, {}, {}).result_problem == ""
    assert check(declared, {}, {"x": 1}).result_problem == "no properties are allowed here"
    assert check([{**LLM, "result_schema": None}], {}, {"x": 1}).result_problem


def test_a_type_without_a_title_or_template() -> None:
    """The title falls back to the name, and without a template there is no summary."""
    for title in (None, "", 3):
        found = check([{"name": "agent:llm", "title": title, "params_schema": {}}], {})
        assert (found.title, found.summary) == ("agent:llm", None)


def test_a_wrong_schema_and_a_wrong_template_are_kept_with_their_problems() -> None:
    """A type with a broken schema or template still works in every other respect."""
    declared = [{**LLM, "params_schema": {"type": "strng"}, "template": "{% nope %}"}]
    types, budget = SpanTypeCompiler().declared(declared), Budget()
    assert "strng" in (types.params(types["agent:llm"], budget).problem or "")
    assert isinstance(types.template("{% nope %}", budget), TemplateProblem)
    found = check(declared, {}, {"text": "hi"})
    assert (found.params_problem, found.result_problem, found.summary) == (None, "", None)


def test_types_come_as_a_list_or_as_a_map() -> None:
    """A list and a map of span types mean the same; in a map, the key is the name."""
    as_map = {"agent:llm": {key: value for key, value in LLM.items() if key != "name"}}
    assert check(as_map, {"model": "m"}) == check([LLM], {"model": "m"})


@pytest.mark.parametrize("declared", [None, 3, "x", [], {}, [None, {"name": 3}, {}], {"a": 3}])
def test_entries_without_a_name_are_left_out(declared: object) -> None:
    """Entries without a usable name are left out."""
    assert not SpanTypeCompiler().declared(declared)


def test_a_content_is_loaded_once() -> None:
    """Equal span types are loaded once, however many versions share them."""
    compiler, loads = SpanTypeCompiler(), list[str]()

    def load() -> object:
        loads.append("loaded")
        return [LLM]

    first = compiler.span_types(b"hash", load)
    assert compiler.span_types(b"hash", load) is first
    compiler.span_types(b"other", load)
    assert loads == ["loaded", "loaded"]


def test_work_over_the_budget_is_not_cached() -> None:
    """Work over the budget is skipped and not cached, and cheaper work is still done."""
    large = {"properties": {f"p{n}": {"type": "string"} for n in range(1_000)}}
    declared = [{**LLM, "name": f"type {n}", "params_schema": {**large, "x": n}} for n in range(4)]
    types, budget = SpanTypeCompiler().declared(declared), Budget(50_000)

    found = [check_span(types, name, {}, None, finished=False, budget=budget) for name in types]
    again = check_span(types, "type 3", {}, None, finished=False, budget=Budget())

    assert [one.params_problem for one in found] == ["", "", None, None]
    assert [one.summary for one in found] == [":"] * 4
    assert budget.exceeded
    assert again.params_problem == ""


def test_without_steps_nothing_is_checked_or_rendered() -> None:
    """A budget that is used up leaves a span its title and marks the rest as not done."""
    types, budget = SpanTypeCompiler().declared([LLM]), Budget(0)
    found = check_span(types, "agent:llm", {"model": "m"}, {}, finished=True, budget=budget)
    assert found == SpanCheck("Model call", True, None, None, None)
    assert budget.exceeded


def test_a_type_is_compiled_on_first_use() -> None:
    """Declaring types compiles none of them, and checking a span compiles its own."""
    types = SpanTypeCompiler().declared([{**LLM, "name": name} | {"title": name} for name in "ab"])
    assert types.uncompiled_size("a") == types.uncompiled_size("b") > 0
    assert types.uncompiled_size("unknown") == 0
    types.compile("a", Budget())
    assert types.uncompiled_size("a") == 0


@given(
    declared=JSON, payload=st.dictionaries(st.text(max_size=3), JSON, max_size=3), data=st.data()
)
def test_any_declaration_and_payload_raise_nothing(
    declared: object, payload: dict[str, object], data: st.DataObject
) -> None:
    """For any declaration and payload, checking a span raises nothing."""
    types = SpanTypeCompiler().declared(declared)
    name = data.draw(st.sampled_from([*types, "unknown"]))
    found = check_span(types, name, payload, payload, finished=True)
    assert found.registered is (name in types)
    assert len(found.summary or "") <= MAX_SUMMARY
