"""Declared span types are combined, checked and sent with each run."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from typing import Any, TypedDict, get_args, get_type_hints

import orjson
import pytest
from pydantic import BaseModel

import prefactor_http
from prefactor_http.models import (
    ActionProfile,
    AgentSchemaVersionForRegister,
    DataCategories,
    DataRisk,
)
from prefactor_recorder.errors import ConfigurationError
from prefactor_recorder.span_types import data_risk
from prefactor_recorder.span_types.registry import SpanTypes
from schema_types import NUMBER, Answer


class Prompt(BaseModel):
    text: str


class Order(TypedDict):
    item: str


def test_a_declaration_has_the_fields_of_the_api() -> None:
    """Everything declared is sent under the API's names, and nothing else."""
    types = SpanTypes()
    types.span_type(
        "shop:buy",
        NUMBER,
        {"type": "object"},
        title="Purchase",
        description="Something is bought",
        template="Bought {{ n }}",
        data_risk={"action_profile": {"financial_transactions": "allowed"}},
    )
    types.span_type("shop:look")

    assert types.schemas() == [
        {
            "name": "shop:buy",
            "params_schema": NUMBER,
            "result_schema": {"type": "object"},
            "title": "Purchase",
            "description": "Something is bought",
            "template": "Bought {{ n }}",
            "data_risk": {"action_profile": {"financial_transactions": "allowed"}},
        },
        {
            "name": "shop:look",
            "params_schema": {"type": "object"},
            "result_schema": {"type": "object"},
        },
    ]


def test_the_client_can_read_the_schema_version() -> None:
    """The client's own model accepts the encoded schema version, field by field."""
    types = SpanTypes()
    types.span_type("a", Prompt, Answer, data_risk=DataRisk())

    version = AgentSchemaVersionForRegister.model_validate_json(types.schema_version() or b"")

    assert version.span_type_schemas is not None
    assert [each.name for each in version.span_type_schemas] == ["a"]
    assert version.span_type_schemas[0].data_risk == DataRisk()


@pytest.mark.parametrize(
    ("declared", "required"), [(Prompt, ["text"]), (Answer, ["text"]), (Order, ["item"])]
)
def test_models_become_schemas(declared: type, required: list[str]) -> None:
    """A pydantic model, a dataclass and a TypedDict are described by their fields."""
    span_type = SpanTypes().span_type("a", declared, declared)

    assert span_type.params_schema["required"] == required
    assert list(span_type.result_schema["properties"]) == required
    assert "required" not in span_type.result_schema


def test_a_type_other_than_object_is_wrapped() -> None:
    """`list[int]` as a payload is recorded under `value`, and declared like that."""
    span_type = SpanTypes().span_type("a", list[int])

    assert span_type.params_schema == {
        "type": "object",
        "properties": {"value": {"type": "array", "items": {"type": "integer"}}},
    }


def test_without_span_types_no_schema_is_sent() -> None:
    """A registration without span types has no schema version."""
    assert SpanTypes().schema_version() is None
    assert len(SpanTypes()) == 0


def test_the_identifier_is_a_hash_of_the_content() -> None:
    """Declared in another order it is the same version; with other content it is another."""
    one, other, third = SpanTypes(), SpanTypes(), SpanTypes()
    one.span_type("a", NUMBER)
    one.span_type("b")
    other.span_type("b")
    other.span_type("a", NUMBER)
    third.span_type("a")

    assert one.schema_version() == other.schema_version()
    versions = [orjson.loads(types.schema_version() or b"") for types in (one, third)]
    assert versions[0]["external_identifier"] != versions[1]["external_identifier"]


def test_the_encoding_is_cached_until_a_declaration() -> None:
    """Registering a run does not encode the types again; a later declaration is in the next run."""
    types = SpanTypes()
    types.span_type("a")
    version = types.schema_version()

    assert types.schema_version() is version
    types.span_type("a")
    assert types.schema_version() is version
    types.span_type("b")
    assert types.schema_version() != version


def test_sets_are_composed() -> None:
    """A set has its own types and those of every set it includes, at any depth."""
    tools, shop, everything = SpanTypes(), SpanTypes(), SpanTypes()
    tools.span_type("tool")
    shop.include(tools)
    shop.span_type("shop")
    everything.include(shop)

    assert [each["name"] for each in everything.schemas()] == ["shop", "tool"]
    assert "tool" in everything
    assert "everything" not in tools


def test_later_declarations_reach_including_sets() -> None:
    """The order of imports does not matter, because an included set may grow later."""
    tools, shop = SpanTypes(), SpanTypes()
    recorder = SpanTypes([shop])
    shop.include(tools)
    tools.span_type("late")

    assert "late" in recorder
    assert "late" in shop


def test_sets_may_include_one_another() -> None:
    """Two modules that include each other have the same types, without an endless loop."""
    one, other = SpanTypes(), SpanTypes()
    one.include(other)
    other.include(one)
    one.span_type("a")
    other.span_type("b")

    assert one.schemas() == other.schemas()


def test_an_included_set_keeps_no_other_alive() -> None:
    """A set made for one run is garbage-collected with it, although it includes a module's set."""
    module = SpanTypes()
    for_one_run = weakref.ref(SpanTypes([module]))
    gc.collect()

    assert for_one_run() is None
    module.span_type("a")


def test_an_equal_declaration_is_accepted() -> None:
    """A module imported twice, or an equal declaration in two modules, is not a conflict."""
    types = SpanTypes()
    for _ in range(2):
        types.span_type("a", dict(NUMBER), Answer, title="A")

    assert len(types) == 1


@pytest.mark.parametrize(
    ("second", "what"),
    [
        ({"params": {"type": "object"}, "title": "A"}, "params"),
        ({"params": NUMBER, "title": "B"}, "title"),
        ({"params": NUMBER}, "title"),
        ({"params": NUMBER, "title": "A", "template": "{{ n }}"}, "template"),
    ],
)
def test_another_declaration_of_a_name_is_refused(second: dict[str, Any], what: str) -> None:
    """The error names the duplicate and the difference, and nothing changes."""
    types = SpanTypes()
    types.span_type("shop:buy", NUMBER, title="A")
    before = types.schemas()

    with pytest.raises(ConfigurationError, match=f"'shop:buy' is declared twice.*{what}"):
        types.span_type("shop:buy", **second)

    assert types.schemas() == before


def test_conflicting_sets_are_refused() -> None:
    """Including a set that disagrees is refused, and so is a later declaration that would."""
    tools, recorder = SpanTypes(), SpanTypes()
    recorder.span_type("a", title="one")
    tools.span_type("a", title="two")
    fine = SpanTypes()
    recorder.include(fine)

    with pytest.raises(ConfigurationError, match="'a' is declared twice"):
        recorder.include(tools)
    with pytest.raises(ConfigurationError, match="'a' is declared twice"):
        fine.span_type("a", title="three")
    assert "a" not in fine


def test_a_schema_is_copied_when_declared() -> None:
    """Changing the dictionary after the declaration has no effect."""
    schema: dict[str, Any] = {"type": "object"}
    span_type = SpanTypes().span_type("a", schema)
    schema["type"] = "array"

    assert span_type.params_schema == {"type": "object"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": None}, "name must be text, got None"),
        ({"name": ["n"]}, "name must be text, got <list>"),
        ({"name": "a", "params": "agent"}, "params of span type 'a' must be a JSON Schema"),
        ({"name": "a", "result": {"type": object()}}, "result of span type 'a' is not JSON"),
        ({"name": "a", "template": 3}, "template of span type 'a' must be text"),
        (
            {"name": "a", "data_risk": {"actions": {}}},
            "data_risk has no member 'actions'; its members",
        ),
        ({"name": "a", "data_risk": []}, "data_risk must be a mapping, got list"),
        (
            {"name": "a", "data_risk": {"action_profile": {"read_data": "yes"}}},
            "data_risk.action_profile.read_data must be one of 'unknown', 'allowed'",
        ),
    ],
)
def test_an_invalid_declaration_is_refused_at_once(arguments: dict[str, Any], message: str) -> None:
    """An invalid declaration raises where it is made, and the error names the part."""
    with pytest.raises(ConfigurationError) as caught:
        SpanTypes().span_type(**arguments)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (data_risk.DataRisk, DataRisk),
        (data_risk.ActionProfile, ActionProfile),
        (data_risk.DataCategories, DataCategories),
    ],
)
def test_risk_values_are_those_of_the_client(ours: type, theirs: type[BaseModel]) -> None:
    """The recorder has the client's fields and values for risk, without importing it."""
    fields = get_type_hints(ours)

    assert list(fields) == list(theirs.model_fields)
    if ours is not data_risk.DataRisk:
        for name, hint in fields.items():
            assert get_args(hint) == get_args(theirs.model_fields[name].annotation), name


def test_a_risk_may_be_the_model_of_the_client() -> None:
    """The client's model and a mapping mean the same."""
    model = prefactor_http.models.DataRisk(
        action_profile=ActionProfile(destroy_data="disallowed"),
    )
    sent = SpanTypes().span_type("a", data_risk=model).to_api()["data_risk"]

    assert sent["action_profile"]["destroy_data"] == "disallowed"
    assert sent["params_data_categories"]["health_and_medical"] == "unknown"


def test_declaring_loads_nothing_but_the_standard_library() -> None:
    """A module that declares and traces does not import pydantic."""
    program = (
        "import sys\n"
        "from prefactor_recorder.span_types.registry import SpanTypes\n"
        "types = SpanTypes()\n"
        "types.span_type('a', {'type': 'object'})\n"
        "@types.trace\n"
        "def f(x: int) -> int: return x\n"
        "assert types.schema_version()\n"
        "print([name for name in ('pydantic', 'aiohttp', 'prefactor_http') if name in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert ran.stdout.strip() == "[]"


def test_hints_are_read_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A module's types are read once, however many runs include them."""
    module = SpanTypes()

    @module.trace("a")
    def function(order: Order) -> int:
        return len(order)

    first = SpanTypes([module]).schema_version()
    monkeypatch.setattr(
        "prefactor_recorder.span_types.function_schemas.hints_of", None
    )  # would fail if it were called

    assert SpanTypes([module]).schema_version() == first == module.schema_version()
    assert function({"item": "a"}) == 1
