"""Reads signatures and type hints of functions and classes. Never raises.

A hint that cannot be resolved, such as a name that exists only for the type checker, is left out
without affecting the others.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable
from inspect import Parameter
from typing import Any, Literal, cast

from prefactor_recorder.guard import not_interrupts

INSTANCE_NAMES = {"self", "cls", "mcs", "mcls"}
"""Names of a first parameter that is not recorded, because it is the object of a method.

A function does not know whether it will be a method or a static method, so the name decides.
"""

Kind = Literal["function", "coroutine", "generator", "async generator"]
"""The kind of a function, by what a call returns."""


def hints_of(target: Any) -> dict[str, Any]:
    """Return the type hints of a function or class, including qualifiers and `Annotated`."""
    target = underlying(target)
    if not callable(target):
        return {}
    try:
        return typing.get_type_hints(target, include_extras=True)
    except not_interrupts():  # a hint is an expression of the host and may raise anything
        return _hints_one_by_one(target)


def _hints_one_by_one(target: Any) -> dict[str, Any]:
    try:
        return _resolvable(target)
    except not_interrupts():  # invalid annotations
        return {}


def underlying(target: Any) -> Any:
    """Unwrap partial objects, decorators, bound methods and callable objects."""
    try:
        return _underlying(target)
    except not_interrupts():  # a proxy may have every attribute, such as `__wrapped__`
        return target


def _underlying(target: Any) -> Any:
    while True:
        if isinstance(target, functools.partial):
            target = target.func
        elif isinstance(target, types.MethodType | staticmethod | classmethod):
            target = cast("Any", target).__func__
        elif hasattr(target, "__wrapped__"):
            target = inspect.unwrap(target)
        elif isinstance(target, type | types.FunctionType) or not callable(target):
            return target
        else:
            call = getattr(type(target), "__call__", None)  # noqa: B004 - the method is needed
            if not isinstance(call, types.FunctionType):
                return target
            target = call


def signature_of(function: Callable[..., Any]) -> inspect.Signature | None:
    """Return a function's signature, or None if it has none, like some written in C."""
    try:
        if sys.version_info >= (3, 14):
            import annotationlib  # noqa: PLC0415

            return inspect.signature(function, annotation_format=annotationlib.Format.FORWARDREF)
        return inspect.signature(function)
    except not_interrupts():  # see `underlying`
        return None


def is_instance(first: Parameter) -> bool:
    """Whether the first parameter of a function is the object of a method."""
    positional = first.kind in {Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD}
    return positional and first.name in INSTANCE_NAMES


def kind_of(function: Any) -> Kind:
    """Return the kind of the outermost function that a call runs."""
    target = function
    while isinstance(target, functools.partial | types.MethodType):
        target = target.func if isinstance(target, functools.partial) else target.__func__
    if not isinstance(target, types.FunctionType):
        target = getattr(cast("Any", type(target)), "__call__", target)  # noqa: B004 - see above
    if inspect.iscoroutinefunction(target):
        return "coroutine"
    if inspect.isasyncgenfunction(target):
        return "async generator"
    return "generator" if inspect.isgeneratorfunction(target) else "function"


def _resolvable(target: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    owners = reversed(target.__mro__) if isinstance(target, type) else [target]
    for owner in owners:
        for name, annotation in _annotations(owner).items():
            found.pop(name, None)
            single = types.SimpleNamespace(__annotations__={name: annotation})
            try:
                hints = typing.get_type_hints(single, _names(owner), include_extras=True)
            except not_interrupts():  # leave out this one
                continue
            found.update(hints)
    return found


def _annotations(owner: Any) -> dict[str, Any]:
    if sys.version_info >= (3, 14):
        import annotationlib  # noqa: PLC0415

        return annotationlib.get_annotations(owner, format=annotationlib.Format.FORWARDREF)
    return inspect.get_annotations(owner)


def _names(owner: Any) -> dict[str, Any]:
    """Return the names that annotations of a function or class may refer to."""
    if isinstance(owner, type):
        module = sys.modules.get(owner.__module__)
        return dict(vars(module)) if module else {}
    return dict(getattr(owner, "__globals__", {}))
