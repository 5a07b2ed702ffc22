"""A traced function shows the signature of the original."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from prefactor_recorder.span_types.registry import SpanTypes

types = SpanTypes()


def plain(a: int, b: int = 2, *more: int, c: int = 3, **others: int) -> int:
    """Takes all kinds of arguments."""
    return a + b + c + sum(more) + sum(others.values())


async def coroutine(a: int, /, b: int = 2, *, c: int) -> int:
    """Does it later."""
    return a + b + c


def generator(a: int, b: int = 2, *, c: int = 3) -> Iterator[int]:
    """Does it in steps."""
    yield a + b + c


async def async_generator(a: int, b: int = 2, *, c: int = 3) -> AsyncIterator[int]:
    """Does it in steps, later."""
    yield a + b + c


class Tools:
    """Methods of all kinds."""

    def method(self, a: int, b: int = 2, *, c: int = 3) -> int:
        """A method."""
        return a + b + c

    @classmethod
    def of_class(cls, a: int, b: int = 2, *, c: int = 3) -> int:
        """A method of the class."""
        return a + b + c

    @staticmethod
    def static(a: int, b: int = 2, *, c: int = 3) -> int:
        """A function in a class."""
        return a + b + c


class TracedTools(Tools):
    """The same, traced."""

    method = types.trace("method")(Tools.method)
    of_class = types.trace("class method")(Tools.__dict__["of_class"])
    static = types.trace("static")(Tools.__dict__["static"])


PAIRS: dict[str, tuple[Any, Any]] = {
    "function": (plain, types.trace("function")(plain)),
    "twice": (plain, types.trace("again")(types.trace("function")(plain))),
    "coroutine": (coroutine, types.trace("coroutine")(coroutine)),
    "generator": (generator, types.trace("generator")(generator)),
    "asynchronous generator": (async_generator, types.trace("async")(async_generator)),
    "method": (Tools().method, TracedTools().method),
    "method of the class": (Tools.method, TracedTools.method),
    "class method": (Tools.of_class, TracedTools.of_class),
    "class method of an instance": (Tools().of_class, TracedTools().of_class),
    "static method": (Tools.static, TracedTools.static),
}
QUESTIONS: dict[str, Callable[[Any], Any]] = {
    "signature": inspect.signature,
    "signature as it stands": lambda asked: inspect.signature(asked, follow_wrapped=False),
    "full argument specification": inspect.getfullargspec,
    "defaults": lambda asked: (asked.__defaults__, asked.__kwdefaults__),
    "names": lambda asked: (asked.__name__, asked.__module__, asked.__doc__),
    "annotations": inspect.get_annotations,
}


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("kind", PAIRS)
def test_introspection_gives_the_same_answers(kind: str, question: str) -> None:
    """Every kind of introspection gives the original's answer."""
    bare, traced = PAIRS[kind]

    assert QUESTIONS[question](traced) == QUESTIONS[question](bare)


@pytest.mark.parametrize("kind", PAIRS)
def test_call_arguments_are_bound_alike(kind: str) -> None:
    """`inspect.getcallargs` names the arguments as the bare function does."""
    bare, traced = PAIRS[kind]
    instance = [Tools()] if "self" in inspect.signature(bare).parameters else []

    bound = inspect.getcallargs(traced, *instance, 1, c=3)
    expected = inspect.getcallargs(bare, *instance, 1, c=3)

    assert {**bound, "self": 0, "cls": 0} == {**expected, "self": 0, "cls": 0}
    assert (bound["a"], bound["b"], bound["c"]) == (1, 2, 3)
