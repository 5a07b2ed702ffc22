"""Span types are declared once, composed from modules, and sent as the API takes them."""

from __future__ import annotations

import dataclasses
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
from prefactor_recorder.span_types.span_type import MAX_FUNCTIONS


class Prompt(BaseModel):
    text: str


@dataclasses.dataclass
class Answer:
    text: str


class Order(TypedDict):
    item: str


NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def test_a_declaration_has_the_fields_of_the_api() -> None:
    """Everything that was said is sent under the API's names, and nothing that was not."""
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


def test_the_client_can_read_what_is_sent() -> None:
    """The encoded schema version is one that the client's own model takes, field by field."""
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
    """A pydantic model, a dataclass and a TypedDict each stand for their fields."""
    span_type = SpanTypes().span_type("a", declared, declared)

    assert span_type.params_schema["required"] == required
    assert list(span_type.result_schema["properties"]) == required
    assert "required" not in span_type.result_schema


def test_a_type_that_is_no_object_is_described_as_it_is_recorded() -> None:
    """`list[int]` as a payload is recorded under `value`, and declared like that."""
    span_type = SpanTypes().span_type("a", list[int])

    assert span_type.params_schema == {
        "type": "object",
        "properties": {"value": {"type": "array", "items": {"type": "integer"}}},
    }


def test_nothing_declared_is_nothing_sent() -> None:
    """A registration without span types has no schema version at all."""
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


def test_the_encoding_is_kept_until_something_is_declared() -> None:
    """Registering a run costs nothing for the types; a later declaration is in the next run."""
    types = SpanTypes()
    types.span_type("a")
    version = types.schema_version()

    assert types.schema_version() is version
    types.span_type("a")
    assert types.schema_version() is version
    types.span_type("b")
    assert types.schema_version() != version


def test_sets_are_composed() -> None:
    """A set has its own types and those of every set it includes, however deep."""
    tools, shop, everything = SpanTypes(), SpanTypes(), SpanTypes()
    tools.span_type("tool")
    shop.include(tools)
    shop.span_type("shop")
    everything.include(shop)

    assert [each["name"] for each in everything.schemas()] == ["shop", "tool"]
    assert "tool" in everything
    assert "everything" not in tools


def test_what_is_declared_later_reaches_those_who_included() -> None:
    """The order of imports does not matter: an included set may grow afterwards."""
    tools, shop = SpanTypes(), SpanTypes()
    recorder = SpanTypes([shop])
    shop.include(tools)
    tools.span_type("late")

    assert "late" in recorder
    assert "late" in shop


def test_sets_may_include_one_another() -> None:
    """Two modules that include each other have the same types, and nothing runs in circles."""
    one, other = SpanTypes(), SpanTypes()
    one.include(other)
    other.include(one)
    one.span_type("a")
    other.span_type("b")

    assert one.schemas() == other.schemas()


def test_a_set_that_includes_another_is_not_kept_alive_by_it() -> None:
    """A set that was made for one run is gone with the run, though it includes a module's."""
    module = SpanTypes()
    for_one_run = weakref.ref(SpanTypes([module]))
    gc.collect()

    assert for_one_run() is None
    module.span_type("a")


def test_the_same_declaration_again_is_fine() -> None:
    """A module that is imported twice, or an equal declaration in two modules, is no conflict."""
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
    """A name means one thing: the error says which name, and what differs; nothing changes."""
    types = SpanTypes()
    types.span_type("shop:buy", NUMBER, title="A")
    before = types.schemas()

    with pytest.raises(ConfigurationError, match=f"'shop:buy' is declared twice.*{what}"):
        types.span_type("shop:buy", **second)

    assert types.schemas() == before


def test_a_conflict_shows_where_it_arises() -> None:
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


def test_a_schema_is_what_it_was_when_it_was_declared() -> None:
    """Changing the dictionary afterwards changes nothing."""
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
def test_what_cannot_be_used_is_refused_at_once(arguments: dict[str, Any], message: str) -> None:
    """A mistake in a declaration is an error where it was made, which names the part."""
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
def test_risks_have_the_words_of_the_client(ours: type, theirs: type[BaseModel]) -> None:
    """The recorder knows the same fields and answers as the client, without loading it."""
    fields = get_type_hints(ours)

    assert list(fields) == list(theirs.model_fields)
    if ours is not data_risk.DataRisk:
        for name, hint in fields.items():
            assert get_args(hint) == get_args(theirs.model_fields[name].annotation), name


def test_a_risk_may_be_the_model_of_the_client() -> None:
    """The model means what the mapping means."""
    model = prefactor_http.models.DataRisk(
        action_profile=ActionProfile(destroy_data="disallowed"),
    )
    sent = SpanTypes().span_type("a", data_risk=model).to_api()["data_risk"]

    assert sent["action_profile"]["destroy_data"] == "disallowed"
    assert sent["params_data_categories"]["health_and_medical"] == "unknown"


def test_tracing_declares_a_type() -> None:
    """A traced function declares its name, its docstring and its hints."""
    types = SpanTypes()

    @types.trace("shop:find")
    def find(query: str, limit: int = 3) -> list[str]:
        """Find things in the shop.

        Slowly.
        """
        return [query] * limit

    assert types.schemas() == [
        {
            "name": "shop:find",
            "params_schema": {
                "type": "object",
                "properties": {
                    "query": {"type": "string"},
                    "limit": {"type": "integer", "default": 3},
                },
                "required": ["query"],
            },
            "result_schema": {
                "type": "object",
                "properties": {"value": {"type": "array", "items": {"type": "string"}}},
            },
            "description": "Find things in the shop.",
        }
    ]
    assert find("a", 1) == ["a"]


def test_hints_are_read_when_a_run_is_registered() -> None:
    """A function may speak of a class that is defined further down."""
    types = SpanTypes()

    @types.trace("a")
    def early(order: LaterOrder) -> None:  # noqa: F821 - that is the point
        """Takes what is defined below."""

    globals()["LaterOrder"] = Answer
    try:
        assert types.schemas()[0]["params_schema"]["properties"]["order"] == {
            "$ref": "#/$defs/Answer"
        }
    finally:
        del globals()["LaterOrder"]
    assert early(Answer("x")) is None


def test_a_declaration_is_stronger_than_hints() -> None:
    """Whichever came first: what was declared by name describes the traced function's spans."""
    for declared_first in (True, False):
        types = SpanTypes()

        def buy(item: str) -> str:
            return item

        if declared_first:
            types.span_type("shop:buy", NUMBER, title="Purchase")
            types.trace("shop:buy")(buy)
        else:
            types.trace("shop:buy")(buy)
            types.span_type("shop:buy", NUMBER, title="Purchase")

        (sent,) = types.schemas()
        assert sent["params_schema"] == NUMBER
        assert sent["title"] == "Purchase"
        assert list(sent["result_schema"]["properties"]) == ["value"]


def test_what_a_trace_says_must_agree_with_the_declaration() -> None:
    """Two titles for one name are a mistake, also when one of them is in a decorator."""
    types = SpanTypes()
    types.span_type("shop:buy", title="Purchase")

    with pytest.raises(ConfigurationError, match=r"'shop:buy' is declared twice.*title"):
        types.trace("shop:buy", title="Buying")(lambda: None)


def test_functions_may_share_a_type() -> None:
    """Each of them matches the schema of the name that they share, and keeps its own fields."""
    types = SpanTypes()

    @types.trace("agent:tool")
    def search(query: str) -> list[str]:
        return [query]

    @types.trace("agent:tool")
    def add(a: int, b: int) -> int:
        return a + b

    (sent,) = types.schemas()
    assert [list(each["properties"]) for each in sent["params_schema"]["anyOf"]] == [
        ["tool_name", "query"],
        ["tool_name", "a", "b"],
    ]
    assert "description" not in sent
    assert (search("a"), add(1, 2)) == (["a"], 3)


def test_a_crowd_of_functions_is_described_by_nothing() -> None:
    """A type that too many functions share takes any object: a list of choices helps nobody."""
    types = SpanTypes()
    for number in range(MAX_FUNCTIONS + 1):
        exec(  # noqa: S102 - functions with code of their own
            f"def f{number}(a{number}: int) -> int: return 1", namespace := {}
        )
        types.trace("agent:step")(namespace[f"f{number}"])

    assert types.schemas()[0]["params_schema"] == {"type": "object"}


def test_a_function_that_is_made_again_and_again_is_one() -> None:
    """A closure that is traced in a loop neither grows the set nor makes new versions."""
    types = SpanTypes()

    def make() -> Any:
        @types.trace
        def inner(a: int) -> int:
            return a

        return inner

    made = [make() for _ in range(100)]
    version = types.schema_version()
    made.append(make())

    assert types.schema_version() is version
    assert len(types) == 1
    assert "inner" in types.schemas()[0]["name"]


def test_what_is_not_captured_is_not_asked_for() -> None:
    """A function whose arguments and result stay private declares that anything may be there."""
    types = SpanTypes()

    @types.trace("login", capture_arguments=False, capture_result=False)
    def login(password: str) -> str:
        return password

    (sent,) = types.schemas()
    assert sent["params_schema"] == sent["result_schema"] == {"type": "object"}
    assert login("x") == "x"


def test_declaring_loads_nothing_but_the_standard_library() -> None:
    """A module that declares and traces does not make its importers wait for pydantic."""
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


def test_a_set_for_one_run_costs_no_second_reading_of_hints(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a module's types look like is worked out once, however many runs include them."""
    module = SpanTypes()

    @module.trace("a")
    def function(order: Order) -> int:
        return len(order)

    first = SpanTypes([module]).schema_version()
    monkeypatch.setattr(
        "prefactor_recorder.span_types.function_schemas.hints_of", None
    )  # would fail if it were asked

    assert SpanTypes([module]).schema_version() == first == module.schema_version()
    assert function({"item": "a"}) == 1
