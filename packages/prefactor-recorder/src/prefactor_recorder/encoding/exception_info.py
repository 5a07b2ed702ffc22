"""Messages and stack traces of exceptions, without the `repr()` of objects they were raised with.

The message of `ValueError(model)` is the model's `repr()`, and a validation error quotes its input.
Nobody would look for a secret in either.

Callers pass in `argument_text`, which encodes one argument of an exception as text.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any, cast

from prefactor_recorder.encoding.plain_json import MAX_TEXT, is_leaf, replace_surrogates
from prefactor_recorder.guard import not_interrupts

ArgumentText = Callable[[Any], str]
MAX_CHAIN = 50
"""Exceptions recorded of one chain."""
_BETWEEN = {
    True: "\nThe above exception was the direct cause of the following exception:\n\n",
    False: "\nDuring handling of the above exception, another exception occurred:\n\n",
}


def exception_message(error: BaseException, argument_text: ArgumentText) -> str:
    """Return the message of an exception, at most `MAX_TEXT` characters. Never raises."""
    try:
        text = str(error) if _is_self_contained(error) else _safe_message(error, argument_text)
    except not_interrupts():  # a __str__ of the host
        text = ""
    return replace_surrogates(text[:MAX_TEXT])


def stack_trace(error: BaseException, most: int, argument_text: ArgumentText) -> str:
    """Return the last `most` characters of the stack trace of an exception and its causes."""
    try:
        chain = _chain(error)
        if all(_is_self_contained(each) for each, _ in chain):
            stack = "".join(traceback.format_exception(error))
        else:
            stack = "".join(_format_chain(chain, argument_text))
    except not_interrupts():  # attributes of the host's exception, as of a SyntaxError
        stack = ""
    return replace_surrogates(stack[-most:])


def _is_self_contained(error: BaseException) -> bool:
    """Whether the message contains only plain values, no `repr()` of an object."""
    if isinstance(error, BaseExceptionGroup):
        inside = cast("Any", error).exceptions[:MAX_CHAIN]
        return all(_is_self_contained(each) for one in inside for each, _ in _chain(one))
    if _is_validation_error(error):
        return False
    return type(error).__str__ not in _INHERITED or all(map(_is_short, error.args))


def _is_short(argument: Any) -> bool:
    if type(argument) is list or type(argument) is tuple:
        members = cast("list[Any]", argument)
        return len(members) <= MAX_CHAIN and all(map(is_leaf, members))
    return is_leaf(argument)


_INHERITED = {BaseException.__str__, KeyError.__str__, OSError.__str__, ImportError.__str__}


def _is_validation_error(error: BaseException) -> bool:
    kind = type(error)
    return kind.__name__ == "ValidationError" and kind.__module__.startswith("pydantic_core")


def _safe_message(error: BaseException, argument_text: ArgumentText) -> str:
    if _is_validation_error(error):
        return _validation(cast("Any", error))
    if isinstance(error, BaseExceptionGroup):
        count = len(cast("Any", error).exceptions)
        return f"{str(error.args[0])[:MAX_TEXT]} ({count} exceptions)"
    return ", ".join(
        each if isinstance(each, str) else argument_text(each) for each in error.args[:MAX_CHAIN]
    )


def _validation(error: Any) -> str:
    """Return which fields are invalid and why, without their values."""
    lines = [f"{error.error_count()} validation errors for {error.title}"]
    for each in error.errors(include_url=False, include_context=False, include_input=False):
        place = ".".join(map(str, each["loc"]))
        lines.append(f"{place}: {each['msg']} [{each['type']}]")
    return "\n".join(lines)


_Chain = list[tuple[BaseException, "bool | None"]]


def _chain(error: BaseException) -> _Chain:
    """Return an exception and its predecessors, latest first.

    The flag says whether the exception was the explicit cause of the one before it in the list.
    """
    chain: _Chain = [(error, None)]
    known = {id(error)}
    while len(chain) < MAX_CHAIN:
        last = chain[-1][0]
        cause = last.__cause__
        before = cause or (None if last.__suppress_context__ else last.__context__)
        if before is None or id(before) in known:
            break
        known.add(id(before))
        chain.append((before, cause is not None))
    return chain


def _format_chain(chain: _Chain, argument_text: ArgumentText) -> list[str]:
    lines: list[str] = []
    for error, causes in reversed(chain):
        if error.__traceback__ is not None:
            lines += ["Traceback (most recent call last):\n"]
            lines += traceback.format_tb(error.__traceback__)
        lines.append(f"{type(error).__qualname__}: {exception_message(error, argument_text)}\n")
        if isinstance(error, BaseExceptionGroup):
            for each in cast("Any", error).exceptions[:MAX_CHAIN]:
                message = exception_message(each, argument_text)
                lines.append(f"  {type(each).__qualname__}: {message}\n")
        if causes is not None:
            lines.append(_BETWEEN[causes])
    return lines
