"""Names the arguments of a call for its payload. Never raises.

Arguments that do not fit the signature are recorded unnamed. The function is called with them right
afterwards and raises by itself.
"""

from __future__ import annotations

from inspect import Parameter
from typing import TYPE_CHECKING, Any

from prefactor_recorder.span_types.introspection import is_instance, signature_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from inspect import Signature


class _Missing:
    def __repr__(self) -> str:
        return "<missing>"


MISSING = _Missing()


class Arguments:
    """Names the arguments of one function, including defaults, excluding `self` and `cls`.

    Args:
        function: The function. Without a signature, its arguments are recorded as `args` and
            `kwargs`.
        constants: Members of every payload, unless an argument has the same name.
    """

    def __init__(self, function: Callable[..., Any], constants: Mapping[str, Any]) -> None:
        signature = signature_of(function)
        parameters = list(signature.parameters.values()) if signature else []
        self._instance = parameters[0].name if parameters and is_instance(parameters[0]) else None
        rest = parameters[1:] if self._instance else parameters
        self._constants = dict(constants)
        # `Signature.bind` would take longer than everything else, and few functions need it.
        self._signature = (
            None if signature is None or _is_plain(rest) else _without(signature, rest)
        )
        self._unknown = signature is None
        self._positional = [each.name for each in rest if each.kind is not Parameter.KEYWORD_ONLY]
        self._required = sum(each.default is Parameter.empty for each in rest)
        self._template = {
            **self._constants,
            **{
                each.name: MISSING if each.default is Parameter.empty else each.default
                for each in rest
            },
        }

    def named(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the payload of a call."""
        if self._instance is not None:
            if args:
                args = args[1:]
            else:
                kwargs = {name: each for name, each in kwargs.items() if name != self._instance}
        if self._signature is not None:
            return self._bound(self._signature, args, kwargs)
        if (
            self._unknown
            or len(args) > len(self._positional)
            or len(args) + len(kwargs) < self._required
        ):
            return self._unnamed(args, kwargs)
        payload = self._template.copy()
        payload.update(zip(self._positional, args, strict=False))
        payload.update(kwargs)
        return payload

    def _bound(
        self, signature: Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> dict[str, Any]:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError:
            return self._unnamed(args, kwargs)
        bound.apply_defaults()
        return {**self._constants, **bound.arguments}

    def _unnamed(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        return {**self._constants, "args": args, "kwargs": kwargs}


def _is_plain(parameters: list[Parameter]) -> bool:
    plain = {Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY}
    return all(each.kind in plain for each in parameters)


def _without(signature: Signature, parameters: list[Parameter]) -> Signature:
    return signature.replace(parameters=parameters)
