"""Dumps a pydantic model with its own serializer, without the members that cannot be dumped.

Only the serializer is used, so whatever a model excludes, masks, renames or computes always
applies. A member that fails, or would take too long, is left out through `exclude` and replaced by
a note.
"""

from __future__ import annotations

import dataclasses
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

from prefactor_recorder.encoding.plain_json import type_of
from prefactor_recorder.guard import failures, is_interrupt, not_interrupts

MAX_ATTEMPTS = 200
"""Maximum number of members dumped separately to find those that fail."""
_PER_STEP = 4
"""Members counted or dumped in the time it takes to copy one."""
_NOTE = "<not recorded: {}>"

_Path = tuple["str | int", ...]
"""The path of a member: names of fields, keys of dicts, indices of lists."""


class Dumped(NamedTuple):
    """The dump of a model."""

    value: Any
    steps: int
    """The steps it took."""
    oversized: tuple[str, ...]
    """Fields left out because they are too large."""


def dump(model: Any, steps: int, fallback: Callable[[Any], Any]) -> Dumped:
    """Dump a model as JSON values. Raises only if no member can be dumped.

    Args:
        model: A pydantic model, root model or dataclass.
        steps: Maximum number of members to process.
        fallback: Returns a plain value for a member whose type pydantic does not know.
    """
    room = steps * _PER_STEP
    counter = _Counter(room)
    oversized = tuple(name for name, member in _fields_of(model) if not counter.fits(member))
    if oversized and getattr(type_of(model), "__pydantic_root_model__", False):
        return Dumped("...", (room - counter.left) // _PER_STEP, oversized)
    dumper = _Dumper(model, fallback)
    for name in oversized:
        dumper.leave_out((name,))
    for path in counter.secrets(model):
        dumper.leave_out(path)
    return Dumped(dumper.dump(), (room - counter.left) // _PER_STEP, oversized)


class _Dumper:
    """Makes one dump."""

    def __init__(self, model: Any, fallback: Callable[[Any], Any]) -> None:
        self._model = model
        self._serializer: Any = type_of(model).__pydantic_serializer__
        self._fallback = fallback
        self._excluded: dict[str | int, Any] = {}
        self._attempts = MAX_ATTEMPTS
        self._notes: dict[_Path, str] = {}

    def leave_out(self, path: _Path) -> None:
        """Exclude a member, unless one of its containers is excluded already."""
        tree = self._excluded
        for link in path[:-1]:
            below = tree.setdefault(link, {})
            if below is True:
                return
            tree = below
        tree[path[-1]] = True

    def dump(self) -> Any:
        overridden = _overridden(type_of(self._model))
        if overridden is not None:  # the host decides what to expose
            return overridden(self._model, mode="json")
        try:
            return self._serialize()
        except not_interrupts() as error:  # types and serializers of the host
            failures.note("encode", error)
        for path, reason in self._undumpable((), self._model):
            if not path:
                raise reason
            self.leave_out(path)
            self._notes[path] = _NOTE.format(type(reason).__name__)
        dumped = self._serialize()
        for path, note in self._notes.items():
            _insert_note(dumped, path, note)
        return dumped

    def _serialize(self, include: Any = None) -> Any:
        try:
            return self._serializer.to_python(
                self._model,
                mode="json",
                warnings=False,
                include=include,
                exclude=self._excluded or None,
                fallback=self._fallback,
            )
        except not_interrupts() as error:
            cause = error.__cause__
            if cause is None or not is_interrupt(cause):
                raise
            raise cause from None  # an interrupt, which is for the host

    def _undumpable(self, path: _Path, value: Any) -> Iterator[tuple[_Path, BaseException]]:
        """Find the innermost members that cannot be dumped."""
        try:
            self._attempts -= 1
            self._serialize(_only(path) if path else None)
        except not_interrupts() as error:  # see `dump`
            found = False
            for link, member in _members(value):
                if self._attempts <= 0:
                    break
                for each in self._undumpable((*path, link), member):
                    found = True
                    yield each
            if not found or self._attempts <= 0:
                yield path, error


def _only(path: _Path) -> Any:
    tree: Any = True
    for link in reversed(path):
        tree = {link: tree}
    return tree


def _insert_note(dumped: Any, path: _Path, note: str) -> None:
    """Put a note in place of a member that was left out, except in lists, whose indices changed."""
    for link in path[:-1]:
        try:
            dumped = dumped[link]
        except (LookupError, TypeError):  # renamed, or represented differently
            return
    if isinstance(dumped, dict):
        dumped[path[-1]] = note


def _overridden(kind: Any) -> Any:
    """Return the `model_dump` of a class that overrides it."""
    method = getattr(kind, "model_dump", None)
    owner = getattr(method, "__module__", "")
    return None if method is None or owner.startswith("pydantic.") else method


def _is_model(value: Any) -> bool:
    return hasattr(type_of(value), "__pydantic_serializer__")


def _fields_of(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield fields and extra members, then the names of computed fields without their values."""
    kind = type_of(model)
    held: Mapping[str, Any] | None = getattr(model, "__dict__", None)
    for name in getattr(kind, "__pydantic_fields__", held or ()):
        if held is None:  # a dataclass with slots
            yield name, getattr(model, name, None)
        elif name in held:
            yield name, held[name]
    yield from (getattr(model, "__pydantic_extra__", None) or {}).items()
    decorators = getattr(kind, "__pydantic_decorators__", None)
    for name in getattr(decorators, "computed_fields", ()):
        yield name, None


def _members(value: Any) -> Iterator[tuple[str | int, Any]]:
    if _is_model(value):
        root = getattr(type_of(value), "__pydantic_root_model__", False)
        yield from _members(value.root) if root else _fields_of(value)
    elif type_of(value) is dict:
        yield from value.items()
    elif type_of(value) is list or type_of(value) is tuple:
        yield from enumerate(cast("Sequence[Any]", value))


class _Counter:
    """Counts the members of a model against the budget for dumping it."""

    def __init__(self, left: int) -> None:
        self.left = left

    def fits(self, value: Any) -> bool:
        """Whether the budget suffices for a member, which is then charged."""
        left = self._after(value, self.left)
        if left < 0:
            self.left -= self.left // 8  # the cost of counting
            return False
        self.left = left
        return True

    @staticmethod
    def _after(value: Any, left: int) -> int:
        waiting = [value]
        while waiting and left >= 0:
            members = _contents(waiting.pop())
            if members is None:
                return -1
            left -= 1 + len(members)
            if left < 0:
                break
            kinds = set(map(type, members))
            if kinds <= _NUMBERS:
                continue
            for member in members:
                kind = type_of(member)
                if kind in _TEXTS:
                    left -= len(member) // _TEXT_PER_MEMBER
                elif kind not in _NUMBERS:
                    waiting.append(member)
        return left

    def secrets(self, model: Any) -> Iterator[_Path]:
        """Yield the paths of members that LangChain's classes declare as secrets."""
        waiting: list[tuple[_Path, Any]] = [((), model)]
        left = self.left if "langchain_core" in sys.modules else 0
        while waiting and left > 0:
            path, value = waiting.pop()
            for name in _secret_names(value):
                yield (*path, name)
            for link, member in _members(value):
                left -= 1
                if type_of(member) not in _TEXTS | _NUMBERS:
                    waiting.append(((*path, link), member))


def _secret_names(value: Any) -> list[str]:
    if not hasattr(type_of(value), "lc_secrets"):
        return []
    secrets: Mapping[str, Any] = value.lc_secrets
    fields: Mapping[str, Any] = getattr(type_of(value), "__pydantic_fields__", {})
    return [
        name
        for name, field in fields.items()
        if name in secrets or getattr(field, "alias", None) in secrets
    ]


_TEXTS = frozenset({str, bytes, bytearray})
_NUMBERS = frozenset({int, float, bool, type(None)})
_TEXT_PER_MEMBER = 1024
_DICT: Any = dict


def _contents(value: Any) -> Any:
    """Return the members of a value without running code of its class; None for an iterator.

    Pydantic would read an iterator to its end, and there may be no end.
    """
    if _is_model(value):
        return [member for _, member in _fields_of(value)]
    if isinstance(value, dict | list | tuple | set | frozenset | deque):
        held = cast("Any", value)
        return _DICT.values(held) if isinstance(value, dict) else held
    if isinstance(value, Iterator):
        return None
    if isinstance(value, str | bytes | bytearray):
        return range(len(value) // _TEXT_PER_MEMBER)
    known = getattr(value, "__dict__", {}) if dataclasses.is_dataclass(value) else {}
    return list(known.values())
