"""A traced generator behaves exactly like the original."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefactor_recorder.span_types.registry import SpanTypes
from prefactor_recorder.testing import InMemoryRecorder

types = SpanTypes()

# What a generator does, step by step, and what its consumer does to it.
STEPS = ["yield", "catch", "catch all", "cleanup", "stubborn", "translate", "raise", "return"]
ACTIONS = ["next", "send", "ValueError", "KeyError", "GeneratorExit", "StopIteration", "close"]

PROGRAMS = st.lists(st.sampled_from(STEPS), max_size=6)
TREATMENTS = st.lists(st.sampled_from([*ACTIONS, "next", "next"]), max_size=8)

Log = list[Any]


def scripted(  # noqa: C901 - everything a generator can do
    program: list[str], log: Log
) -> Generator[Any, Any, Any]:
    """Return a generator that follows the program and logs what happens to it."""
    for number, step in enumerate(program):
        try:
            if step == "raise":
                raise LookupError(number)
            if step == "return":
                return number
            log.append((yield number))
        except ValueError as error:
            log.append((step, repr(error), repr(error.__context__)))
            if step == "translate":
                raise KeyError(number) from error
            if step not in {"catch", "catch all"}:
                raise
        except BaseException as error:
            log.append((step, repr(error), repr(error.__context__)))
            if step != "catch all":
                raise
        finally:
            if step == "cleanup":
                log.append(step)
            if step == "stubborn":
                log.append((yield step))
    return None


class Pause:
    """Something to wait for."""

    def __await__(self) -> Generator[None, None, None]:
        yield


async def scripted_async(  # noqa: C901 - everything a generator can do
    program: list[str], log: Log
) -> AsyncGenerator[Any, Any]:
    """The same, waiting now and then."""
    for number, step in enumerate(program):
        try:
            await Pause()
            if step == "raise":
                raise LookupError(number)
            if step == "return":
                return
            log.append((yield number))
        except ValueError as error:
            await Pause()
            log.append((step, repr(error), repr(error.__context__)))
            if step == "translate":
                raise KeyError(number) from error
            if step not in {"catch", "catch all"}:
                raise
        except BaseException as error:
            log.append((step, repr(error), repr(error.__context__)))
            if step != "catch all":
                raise
        finally:
            await Pause()
            if step == "cleanup":
                log.append(step)
            if step == "stubborn":
                log.append((yield step))


traced = types.trace("scripted")(scripted)
traced_async = types.trace("scripted async")(scripted_async)
THROWN: dict[str, type[BaseException]] = {
    "ValueError": ValueError,
    "KeyError": KeyError,
    "GeneratorExit": GeneratorExit,
    "StopIteration": StopIteration,
}


def outcome(call: Callable[[], Any]) -> tuple[Any, ...]:
    """Return an outcome in comparable form."""
    try:
        return ("came", call())
    except BaseException as error:  # noqa: BLE001 - all of them are compared
        return ("raised", repr(error), repr(error.__context__), repr(error.__cause__))


def treated(generator: Generator[Any, Any, Any], treatment: list[str]) -> list[Any]:
    """Return the outcome of each action on a generator, which is closed in the end."""
    actions: dict[str, Callable[[], Any]] = {
        "next": lambda: next(generator),
        "send": lambda: generator.send("sent"),
        "close": generator.close,
    }
    for name, kind in THROWN.items():
        actions[name] = functools.partial(generator.throw, kind(name))
    found = [outcome(actions[action]) for action in treatment]
    # A generator that ignores `close` is closed again, at most once for each step.
    return found + [outcome(generator.close) for _ in STEPS]


def waited(awaitable: Awaitable[Any]) -> Any:
    """Run a coroutine that only waits for pauses, to its end."""
    steps = awaitable.__await__()
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


def thrown(generator: AsyncGenerator[Any, Any], error: BaseException) -> Any:
    """Return the outcome of throwing into an asynchronous generator."""
    return waited(generator.athrow(error))


def treated_async(generator: AsyncGenerator[Any, Any], treatment: list[str]) -> list[Any]:
    """The same for an asynchronous generator."""
    actions: dict[str, Callable[[], Any]] = {
        "next": lambda: waited(anext(generator)),
        "send": lambda: waited(generator.asend("sent")),
        "close": lambda: waited(generator.aclose()),
    }
    for name, kind in THROWN.items():
        actions[name] = functools.partial(thrown, generator, kind(name))
    found = [outcome(actions[action]) for action in treatment]
    return [*found, outcome(lambda: waited(generator.aclose()))]


@pytest.mark.parametrize("recorded", [True, False])
@settings(max_examples=400)  # the interesting ones need three things to come together
@given(program=PROGRAMS, treatment=TREATMENTS)
def test_a_traced_generator_behaves_like_the_bare_one(
    recorded: bool, program: list[str], treatment: list[str]
) -> None:
    """Items, results, exceptions with their context, and what the generator sees, are the same."""
    bare_log: Log = []
    traced_log: Log = []
    recorder = InMemoryRecorder()
    with recorder.run(sampled=recorded):
        expected = treated(scripted(program, bare_log), treatment)
        found = treated(traced(program, traced_log), treatment)

    assert found == expected
    assert traced_log == bare_log
    recorder.assert_all_ended()


# An asynchronous generator that ignores `aclose` warns once more when it is garbage-collected.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("recorded", [True, False])
@settings(max_examples=400)  # the interesting ones need three things to come together
@given(program=PROGRAMS, treatment=TREATMENTS)
def test_a_traced_asynchronous_generator_behaves_like_the_bare_one(
    recorded: bool, program: list[str], treatment: list[str]
) -> None:
    """The same holds for an asynchronous generator that waits."""
    bare_log: Log = []
    traced_log: Log = []
    recorder = InMemoryRecorder()
    with recorder.run(sampled=recorded):
        expected = treated_async(scripted_async(program, bare_log), treatment)
        found = treated_async(traced_async(program, traced_log), treatment)

    assert found == expected
    assert traced_log == bare_log
