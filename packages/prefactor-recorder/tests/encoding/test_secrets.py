"""A class's secrets are never recorded, even where part of it cannot be."""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import functools
import types
from collections import namedtuple
from typing import Annotated, Any, Generic, TypeVar

import attrs
import msgspec
import pytest
from langchain_core.load.serializable import Serializable
from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    RootModel,
    SecretBytes,
    SecretStr,
    ValidationError,
    computed_field,
    field_serializer,
    model_serializer,
)
from pydantic.dataclasses import dataclass as pydantic_dataclass

from prefactor_recorder.span_types.registry import SpanTypes
from prefactor_recorder.testing import InMemoryRecorder

SECRET = "sk-hunter2"
types_of_spans = SpanTypes()
T = TypeVar("T")


class Odd:
    """Cannot be dumped, and has a secret in its `repr()`."""

    def __init__(self) -> None:
        self.held = {"key": [SECRET]}

    def __repr__(self) -> str:
        return f"Odd({SECRET})"


class Failing(BaseModel):
    """A member that raises when it is dumped."""

    size: int = 1

    @field_serializer("size")
    def _dump(self, size: int) -> int:
        raise RuntimeError(SECRET)

    def __repr__(self) -> str:
        return SECRET


def mask(_: object) -> str:
    """Return the mask of a secret."""
    return "***"


class Excluded(BaseModel):
    """A model with every way that pydantic has to hide a value."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    name: str = "kept"
    api_key: str = Field(SECRET, exclude=True)
    masked: Annotated[str, PlainSerializer(mask)] = SECRET
    masked_in_json: Annotated[str, PlainSerializer(mask, when_used="json")] = SECRET
    text: SecretStr = SecretStr(SECRET)
    binary: SecretBytes = SecretBytes(SECRET.encode())
    bad: Any = None
    data: bytes = b"fine"

    @field_serializer("data")
    def _data(self, data: bytes) -> str:
        return data.decode()

    @computed_field
    @property
    def hint(self) -> str:
        """A computed member."""
        return self.api_key[:2] + "…"


class Base(BaseModel):
    """Declared as a field's type, it shows its own fields only."""

    shown: int = 1


class Derived(Base):
    """A subclass, given where its `Base` is declared."""

    api_key: str = SECRET


class Outer(BaseModel):
    """Models inside a model, at every place."""

    model_config = ConfigDict(extra="allow")

    inner: Excluded = Excluded()
    listed: list[Excluded] = [Excluded()]
    named: dict[str, Excluded] = {"a": Excluded()}
    base: Base = Derived()
    bad: Any = None


class Box(BaseModel, Generic[T]):
    """A generic model."""

    item: T
    bad: Any = None


class Root(RootModel[list[Excluded]]):
    """A model that is a list."""


class Renamed(BaseModel):
    """A model whose fields have aliases."""

    model_config = ConfigDict(serialize_by_alias=True)

    api_key: str = Field(SECRET, exclude=True, validation_alias=AliasChoices("k"))
    seen: int = Field(1, serialization_alias="Seen")
    bad: Any = Field(None, serialization_alias="Bad")


class Whole(BaseModel):
    """A model with a serializer of its own."""

    api_key: str = SECRET
    bad: Any = None

    @model_serializer
    def _dump(self) -> dict[str, Any]:
        return {"seen": 1, "bad": self.bad}


class Overriding(BaseModel):
    """A model that masks in its own dump."""

    api_key: str = SECRET

    def model_dump(self, **options: Any) -> dict[str, Any]:
        """The same without the key."""
        return super().model_dump(**options) | {"api_key": "***"}


class FailingOverride(Overriding):
    """A model that raises where it masks."""

    def model_dump(self, **options: Any) -> dict[str, Any]:
        """Nothing."""
        raise RuntimeError


class Client(Serializable):
    """An object of LangChain with a key."""

    name: str = "kept"
    key: str = SECRET
    bad: Any = None

    @property
    def lc_secrets(self) -> dict[str, str]:
        """Return the names of secrets."""
        return {"key": "KEY"}


@pydantic_dataclass
class Validated:
    """A dataclass that is a model as well."""

    size: int = 1
    api_key: str = Field(SECRET, exclude=True)


@dataclasses.dataclass
class Plain:
    """A dataclass that hides two of its fields."""

    size: int = 1
    api_key: str = dataclasses.field(default=SECRET, repr=False)
    _hidden: str = SECRET
    bad: Any = None


@attrs.define
class Attrs:
    """The same with attrs."""

    size: int = 1
    api_key: str = attrs.field(default=SECRET, repr=False)
    masked: str = attrs.field(default=SECRET, repr=mask)
    bad: Any = None


class Struct(msgspec.Struct):
    """A class of msgspec with a model inside."""

    size: int = 1
    model: Any = None


class Custom:
    """An object that holds a model and prints it."""

    def __init__(self) -> None:
        self.model = Excluded()

    def __repr__(self) -> str:
        return f"Custom({self.model!r})"


class Failed(Exception):
    """An exception that was raised with a model."""


Pair = namedtuple("Pair", "model other")  # noqa: PYI024 - as hosts write it
ODD = Odd()

VALUES: dict[str, tuple[Any, Any]] = {
    "excluded": (Excluded(bad=ODD), {"name": "kept", "hint": "sk…", "masked": "***"}),
    "failing member": (Excluded(bad=Failing()), {"name": "kept", "masked_in_json": "***"}),
    "binary": (Excluded(bad=b"\xff\xfe"), {"name": "kept", "data": "fine"}),
    "failing serializer": (Excluded(data=b"\xff"), {"name": "kept", "text": "**********"}),
    "nested": (Outer(bad=Failing(), inner=Excluded(bad=Failing())), {"base": {"shown": 1}}),
    "extra": (Outer(more=Excluded(bad=Failing())), {"base": {"shown": 1}}),
    "generic": (Box[Excluded](item=Excluded(bad=Failing()), bad=Failing()), {}),
    "root": ({"value": Root([Excluded(bad=Failing()), Excluded()])}, {}),
    "renamed": (Renamed(bad=Failing()), {"Seen": 1}),
    "whole": (Whole(bad=1), {"seen": 1, "bad": 1}),
    "whole failing": ({"value": Whole(bad=Failing())}, {}),
    "overriding": (Overriding(), {"api_key": "***"}),
    "overriding and failing": ({"value": FailingOverride()}, {"value": "<FailingOverride>"}),
    "langchain": (Client(bad=ODD), {"name": "kept"}),
    "langchain nested": (Box[Client](item=Client(bad=Failing())), {}),
    "pydantic dataclass": (Validated(), {"size": 1}),
    "dataclass": (Plain(bad=[Excluded(bad=ODD)]), {"size": 1}),
    "attrs": (Attrs(bad=ODD), {"size": 1, "masked": "***"}),
    "msgspec": (Struct(model=Excluded(bad=ODD)), {"size": 1}),
    "custom": ({"value": Custom()}, {"value": "<Custom>"}),
    "secret": ({"value": SecretStr(SECRET)}, {"value": "**********"}),
    "named tuple": (Pair(Excluded(bad=ODD), Custom()), {}),
    "set": ({"value": {Pair(1, ODD)}}, {}),
    "views": ({"a": {1: Excluded(bad=ODD)}.values(), "b": {1: Excluded()}.items()}, {}),
    "namespace": (types.SimpleNamespace(model=Excluded()), {"value": "<SimpleNamespace>"}),
    "partial": ({"value": functools.partial(print, Excluded())}, {"value": "<partial>"}),
    "context variable": (
        contextvars.ContextVar("x", default=Excluded()),  # noqa: B039 - never changed
        {"value": "<ContextVar>"},
    ),
    "exception": ({"value": ValueError(Excluded(bad=ODD))}, {}),
    "exception of the host": ({"value": Failed("text", [Excluded()], Custom())}, {}),
    "key": ({Pair(1, Custom()): 1, Custom(): 2}, {"<Custom>": 2}),
    "class": ({"value": Excluded, "function": mask}, {"function": "<function mask>"}),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_secret_is_never_recorded(name: str) -> None:
    """No payload, result, generator item, argument or error contains it."""
    value, expected = VALUES[name]

    @types_of_spans.trace(f"trace {name}")
    def traced(given: Any) -> Any:
        yield given
        return given

    with InMemoryRecorder() as recorder:
        with recorder.run() as run:
            with run.span("step", value) as span:
                span.set_result({"inside": [value]})
            list(traced(value))
            with contextlib.suppress(Failed), run.span("failing"):
                try:
                    raise ValueError(value)
                except ValueError as error:
                    raise Failed(value, {"more": value}) from error
        kept = recorder.span_named("step").payload
        everything = [(span.payload, span.result) for span in recorder.spans]

    assert SECRET not in repr(everything)
    assert kept is not None
    assert expected.items() <= kept.items()


def test_a_member_that_cannot_be_dumped_costs_no_other() -> None:
    """Its neighbours are kept, and its type is recorded, at any depth."""
    nested = Outer(inner=Excluded(bad=Failing()), listed=[Excluded(bad=Failing())], bad=Failing())

    with InMemoryRecorder() as recorder, recorder.run() as run, run.span("step", nested):
        pass

    payload: Any = recorder.span_named("step").payload
    assert payload["bad"] == {"size": "<not recorded: PydanticSerializationError>"}
    assert payload["inner"]["bad"] == {"size": "<not recorded: PydanticSerializationError>"}
    assert payload["inner"]["name"] == payload["listed"][0]["name"] == "kept"
    assert payload["named"]["a"]["hint"] == "sk…"


def test_a_validation_error_is_recorded_without_the_input() -> None:
    """Pydantic quotes what was wrong; the place and the kind of the error are enough."""
    with InMemoryRecorder() as recorder, recorder.run() as run:  # noqa: SIM117 - as hosts write it
        with contextlib.suppress(ValidationError), run.span("step"):
            Outer.model_validate({"inner": {"name": [SECRET]}, "base": SECRET})

    error = recorder.span_named("step").error
    assert SECRET not in repr(error)
    assert "inner.name: Input should be a valid string" in error["message"]
