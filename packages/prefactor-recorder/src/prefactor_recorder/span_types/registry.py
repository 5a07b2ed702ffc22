"""Sets of span types, declared in code and sent with each run."""

from __future__ import annotations

import functools
import hashlib
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import orjson

from prefactor_recorder.corrections import short_repr
from prefactor_recorder.encoding.values import encode
from prefactor_recorder.errors import ConfigurationError
from prefactor_recorder.guard import failures, not_interrupts
from prefactor_recorder.span_types.declarations import DeclaresSpanTypes
from prefactor_recorder.span_types.introspection import underlying
from prefactor_recorder.span_types.span_type import (
    DECLARED_FIELDS,
    MAX_FUNCTIONS,
    SpanType,
    declared_name,
)


@dataclass(frozen=True)
class _Entry:
    """The declaration of one name, its traced functions, or both."""

    declared: SpanType | None = None
    traced: SpanType | None = None

    def with_declared(self, other: SpanType) -> _Entry:
        if self.declared is not None:
            different = _differences(self.declared, other)
            if different:
                raise _conflict(other.name, ", ".join(different))
            return self
        return self._checked(replace(self, declared=other))

    def with_traced(self, other: SpanType) -> _Entry:
        if self.traced is None:
            return self._checked(replace(self, traced=other))
        merged = _merged(self.traced, other)
        known = {_function_identity(each) for each in self.traced.functions}
        new = [each for each in other.functions if _function_identity(each) not in known]
        if not new and not _differences(self.traced, merged):
            return self
        functions = (*self.traced.functions, *new)[: MAX_FUNCTIONS + 1]
        return self._checked(replace(self, traced=replace(merged, functions=functions)))

    def merged(self, other: _Entry) -> _Entry:
        if self.declared is self.traced is None:
            return other
        entry = self if other.declared is None else self.with_declared(other.declared)
        return entry if other.traced is None else entry.with_traced(other.traced)

    @functools.cached_property
    def encoded(self) -> bytes:
        """The declaration as JSON. Cached, because the sets made for single runs share entries."""
        whole = self.effective()
        try:
            return encode(whole.to_api())
        except not_interrupts() as error:  # a schema of the host; declare the others as they are
            failures.note(f"span type {whole.name!r}", error)
            return encode(SpanType(name=whole.name).to_api())

    def effective(self) -> SpanType:
        if self.declared is None or self.traced is None:
            return self.declared or self.traced or SpanType(name="")
        whole = _merged(self.declared, self.traced)
        return replace(whole, functions=self.traced.functions, constants=self.traced.constants)

    @staticmethod
    def _checked(entry: _Entry) -> _Entry:
        entry.effective()
        return entry


def _merged(first: SpanType, second: SpanType) -> SpanType:
    """Merge two declarations of one name, which must not contradict each other."""
    merged: dict[str, Any] = {}
    for name in DECLARED_FIELDS:
        one, other = getattr(first, name), getattr(second, name)
        if one is not None and other is not None and _differ(one, other):
            raise _conflict(first.name, name)
        merged[name] = other if one is None else one
    return replace(first, **merged)


def _differences(first: SpanType, second: SpanType) -> list[str]:
    return [
        name for name in DECLARED_FIELDS if _differ(getattr(first, name), getattr(second, name))
    ]


def _differ(one: Any, other: Any) -> bool:
    try:
        return one is not other and bool(one != other)
    except not_interrupts():  # an `__eq__` of the host
        return True


def _conflict(name: str, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"span type {name!r} is declared twice with different values of {what}; share one "
        "declaration, or use another name"
    )


def _function_identity(function: Callable[..., Any]) -> Any:
    """Return the code of a function, so that functions defined in a loop count as one."""
    try:
        return underlying(function).__code__
    except not_interrupts():
        return id(function)  # its own hash may be code of the host


# One lock for all sets, because a declaration changes several of them. Held for microseconds, while
# modules are imported.
_lock = threading.RLock()


class SpanTypes(DeclaresSpanTypes):
    """A set of span types: `types.span_type(…)`, `@types.trace`, and `include` to combine sets.

    Create one per module or library and pass it to the recorder: `Recorder(span_types=[types])`, or
    `recorder.include(types)`. Types added to it later apply to the recorder's later runs.

    Args:
        included: Sets to include.

    Raises:
        ConfigurationError: Two of them declare a name differently.
    """

    def __init__(self, included: Iterable[SpanTypes] = ()) -> None:
        self._entries: dict[str, _Entry] = {}
        # Weakly, because a set made for one run must not live as long as the module's.
        self._including: weakref.WeakSet[SpanTypes] = weakref.WeakSet()
        self._version: bytes | None = None
        for types in checked_sets(included):
            self.include(types)

    def include(self, types: SpanTypes) -> None:
        """Add the types of another set, including those added to it later.

        Raises:
            ConfigurationError: Both declare a name differently.
        """
        if not issubclass(type(cast("object", types)), SpanTypes):
            raise ConfigurationError(f"only SpanTypes can be included, got {short_repr(types)}")
        with _lock:
            self._merge(types._entries)
            types._including.add(self)

    def add_span_type(self, span_type: SpanType) -> None:
        """Add a span type to this set and to all sets that include it.

        Raises:
            ConfigurationError: The name is already declared differently.
        """
        if not issubclass(type(cast("object", span_type)), SpanType):
            raise ConfigurationError(f"only a SpanType can be added, got {short_repr(span_type)}")
        name = declared_name(span_type.name)
        if type(span_type.name) is not str or name != span_type.name:
            span_type = replace(span_type, name=name)
        traced = bool(span_type.functions)
        entry = _Entry(traced=span_type) if traced else _Entry(declared=span_type)
        with _lock:
            self._merge({span_type.name: entry})

    def schemas(self) -> list[dict[str, Any]]:
        """Return the declarations as the API accepts them (`span_type_schemas`), sorted by name."""
        with _lock:
            entries = sorted(self._entries.items())
        return [orjson.loads(entry.encoded) for _, entry in entries]

    def schema_version(self) -> bytes | None:
        """Return the `agent_schema_version` of a registration as JSON, or None without span types.

        Its identifier is a hash of the content, so it is equal in all processes of a program.
        """
        version = self._version
        if version is None and self._entries:
            with _lock:
                entries = sorted(self._entries.items())
            schemas = b"[%b]" % b",".join(entry.encoded for _, entry in entries)
            name = hashlib.sha256(schemas).hexdigest()[:32].encode()
            version = b'{"external_identifier":"%b","span_type_schemas":%b}' % (name, schemas)
            self._version = version
        return version

    def __contains__(self, name: object) -> bool:
        return type(name) is str and name in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"SpanTypes({', '.join(sorted(self._entries))})"

    def _merge(self, entries: Mapping[str, _Entry]) -> None:
        """Add entries to all affected sets, or to none if there is a conflict in one of them."""
        merged = [(types, types._merged_with(entries)) for types in self._affected()]  # noqa: SLF001
        for types, whole in merged:
            types._replace(whole)

    def _merged_with(self, entries: Mapping[str, _Entry]) -> dict[str, _Entry]:
        known = self._entries
        more = {name: known.get(name, _Entry()).merged(each) for name, each in entries.items()}
        return {**known, **more}

    def _replace(self, entries: dict[str, _Entry]) -> None:
        known = self._entries
        if any(known.get(name) is not entry for name, entry in entries.items()):
            self._entries, self._version = entries, None

    def _affected(self) -> list[SpanTypes]:
        """Return this set and all sets that include it, each once. There may be cycles."""
        found: dict[int, SpanTypes] = {}
        waiting: list[SpanTypes] = [self]
        while waiting:
            types = waiting.pop()
            if id(types) not in found:
                found[id(types)] = types
                waiting.extend(types._including)  # noqa: SLF001
        return list(found.values())


def checked_sets(given: Iterable[SpanTypes]) -> tuple[SpanTypes, ...]:
    """Return sets of span types as a tuple.

    Raises:
        ConfigurationError: They are not an iterable of `SpanTypes`.
    """
    try:
        found = tuple(given)
    except not_interrupts() as error:
        raise ConfigurationError("span_types must be an iterable of SpanTypes") from error
    for each in found:
        if not issubclass(type(cast("object", each)), SpanTypes):
            raise ConfigurationError(f"span_types must hold SpanTypes, got {short_repr(each)}")
    return found
