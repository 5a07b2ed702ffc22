"""What a function or a class says of itself, as far as it can be read.

One name that exists only for the type checker must not cost the others: what cannot be resolved is
left out, and everybody else keeps their type.
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

INSTANCE_NAMES = {"self", "cls", "mcs", "mcls"}
"""First parameters that are left out: the object a method belongs to is not an argument.

Known by name, because a function cannot tell that it will become a method: `@staticmethod` may be
put around it later.
"""

Kind = Literal["function", "coroutine", "generator", "async generator"]
"""What calling a function makes."""


def hints_of(target: Any) -> dict[str, Any]:
    """The type hints of a function or class by name, qualifiers and `Annotated` kept."""
    target = underlying(target)
    if not callable(target):
        return {}
    try:
        return typing.get_type_hints(target, include_extras=True)
    except Exception:  # noqa: BLE001 - a hint is an expression of the host's, and may do anything
        return _hints_one_by_one(target)


def _hints_one_by_one(target: Any) -> dict[str, Any]:
    try:
        return _resolvable(target)
    except Exception:  # noqa: BLE001 - annotations that are no annotations
        return {}


def underlying(target: Any) -> Any:
    """The function behind partial objects, decorators, bound methods and callable objects."""
    try:
        return _underlying(target)
    except Exception:  # noqa: BLE001 - a proxy that claims to wrap whatever it is asked for
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
            call = getattr(type(target), "__call__", None)  # noqa: B004 - it is to be read, not asked
            if not isinstance(call, types.FunctionType):
                return target
            target = call


def signature_of(function: Callable[..., Any]) -> inspect.Signature | None:
    """A function's signature; None for one that has none to show, as some written in C."""
    try:
        if sys.version_info >= (3, 14):
            import annotationlib  # noqa: PLC0415

            return inspect.signature(function, annotation_format=annotationlib.Format.FORWARDREF)
        return inspect.signature(function)
    except Exception:  # noqa: BLE001 - see `underlying`
        return None


def is_instance(first: Parameter) -> bool:
    """Whether the first parameter of a function is the object that a method belongs to."""
    positional = first.kind in {Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD}
    return positional and first.name in INSTANCE_NAMES


def kind_of(function: Any) -> Kind:
    """What calling this makes, going by the outermost function that is called."""
    target = function
    while isinstance(target, functools.partial | types.MethodType):
        target = target.func if isinstance(target, functools.partial) else target.__func__
    if not isinstance(target, types.FunctionType):
        target = getattr(cast("Any", type(target)), "__call__", target)  # noqa: B004 - it is to be read
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
            except Exception:  # noqa: BLE001, S112 - this one is left out
                continue
            found.update(hints)
    return found


def _annotations(owner: Any) -> dict[str, Any]:
    if sys.version_info >= (3, 14):
        import annotationlib  # noqa: PLC0415

        return annotationlib.get_annotations(owner, format=annotationlib.Format.FORWARDREF)
    return inspect.get_annotations(owner)


def _names(owner: Any) -> dict[str, Any]:
    """The names that an annotation of this function or class may use."""
    if isinstance(owner, type):
        module = sys.modules.get(owner.__module__)
        return dict(vars(module)) if module else {}
    return dict(getattr(owner, "__globals__", {}))
