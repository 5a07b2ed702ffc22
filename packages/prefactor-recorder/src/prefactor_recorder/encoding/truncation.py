"""Copies any value into plain JSON values, truncated to a budget that the value cannot change.

It copies level by level, so that a huge member is truncated and its siblings are kept. There are
two budgets: bytes, which bound the size, and steps, which bound the time. The paths of omitted
members are recorded; see `prefactor_otel.truncation`.
"""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import orjson

from prefactor_otel.truncation import (
    add_mark,
    fair_share,
    max_mark_size,
    truncate_text,
)
from prefactor_recorder.encoding.objects import (
    Expander,
    Fields,
    Items,
    class_placeholder,
    int_text,
    key_text,
)
from prefactor_recorder.encoding.plain_json import (
    MAX_DEPTH,
    MAX_TEXT,
    OPTIONS,
    budget_left,
    replace_surrogates,
    type_of,
)
from prefactor_recorder.guard import not_interrupts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prefactor_otel.truncation import Path

MAX_STEPS = 100_000
"""Maximum number of members examined one by one."""
MAX_KEY = 1000
"""Maximum characters of a member's name."""
CUT = "..."
"""Replaces a value that contains itself or is nested too deeply."""
_ELLIPSIS = "…"
_FOREIGN_COST = 32
"""The cost factor of a member that the host's own code yields."""
_STEPS_PER_CONTAINER = 8
_STEPS_PER_ATTEMPT = 3
_PRICE_PER_STEP = 128
_RESERVED_STEPS = 8
_RESERVED_ROOM = 48
"""Reserved for each member that has members, so that a list is not filled with empty ones."""
_SMALL = 64
_SMALL_ROOM = 2048
"""Maximum members, and cost, of a container that is first tried as it is."""
_CONTAINERS = frozenset({dict, list, tuple})
_NUMBERS = frozenset({int, float, bool, type(None)})
_NUMBERS_PER_STEP = 16
_PRICED_TEXT = 64
"""Characters of a text charged at once. Longer texts are shortened at the end."""


class JsonCopy(NamedTuple):
    """A copy, and what it left out."""

    value: Any
    """The copy: dicts with text keys, lists, texts, JSON numbers, booleans, None."""
    places: list[Path | None]
    """The paths at which something was left out."""
    missing: int
    """A lower bound of the bytes left out."""

    def as_object(self, limit: int, size: int = 0) -> dict[str, Any]:
        """Return the copy as an object, with a mark if something was left out.

        Args:
            limit: Maximum size of the object in bytes.
            size: Size of the original as JSON in bytes; 0 if unknown.
        """
        is_object = isinstance(self.value, dict)
        members: dict[str, Any] = self.value if is_object else {"value": self.value}
        if not self.places:
            return members
        size = size or len(orjson.dumps(members, option=OPTIONS)) + self.missing
        return add_mark(members, self.places, size, limit, "" if is_object else "value")


class _Ancestors(NamedTuple):
    """The objects that a value is inside of, innermost first."""

    depth: int
    """The level of the value."""
    identity: int = 0
    outer: _Ancestors | None = None

    def inside(self, value: Any, depth: int) -> _Ancestors:
        """Return the ancestors of the members of a value."""
        return _Ancestors(depth + 1, id(value), self)

    def contains(self, value: Any) -> bool:
        """Whether a value is one of these objects."""
        ancestors: _Ancestors | None = self
        while ancestors is not None:
            if ancestors.identity == id(value):
                return True
            ancestors = ancestors.outer
        return False


class _Job(NamedTuple):
    """A queued member that has members itself."""

    value: Any
    holder: Any
    key: Any
    place: Path | None
    ancestors: _Ancestors


class _Text(NamedTuple):
    holder: Any
    key: Any
    place: Path | None


def json_copy(value: Any, limit: int) -> JsonCopy:
    """Copy a value into plain JSON of about `limit` bytes at most. Never raises.

    Parts that orjson can encode as they are remain the host's objects. Encode the copy at once.
    """
    return _Copier(limit).copy(value)


def argument_text(value: Any) -> str:
    """Encode an argument of an exception as JSON text of about `MAX_TEXT` bytes."""
    return orjson.dumps(json_copy(value, MAX_TEXT).value).decode()


class _Copier:
    """Makes one copy."""

    def __init__(self, limit: int) -> None:
        self._limit = limit - max_mark_size(limit)
        self._room = self._limit * 7 // 8  # the rest is for long texts
        self._steps = MAX_STEPS
        self._jobs: list[_Job] = []
        self._long: list[_Text] = []
        self._places: dict[Path | None, None] = {}
        self._missing = 0
        self._expander = Expander(limit, argument_text)

    def copy(self, value: Any) -> JsonCopy:
        root: list[Any] = [None]
        self._put(root, 0, value, None, _Ancestors(1))
        while self._jobs:
            jobs, self._jobs = self._jobs, []
            for number, job in enumerate(jobs):
                self._run(job, self._room // (len(jobs) - number))
        self._shorten()
        return JsonCopy(root[0], list(self._places), self._missing)

    def _put(
        self, holder: Any, key: Any, value: Any, place: Path | None, ancestors: _Ancestors
    ) -> None:
        """Put a value into its holder, or queue it if it has members."""
        kind = type_of(value)
        if kind is str:
            self._put_text(holder, key, value, place)
        elif kind in _NUMBERS:
            self._room -= 8
            holder[key] = number(value)
        elif (
            kind in _CONTAINERS and len(value) <= _SMALL and self._is_light(value, ancestors.depth)
        ):
            holder[key] = value
        else:
            self._room -= _RESERVED_ROOM
            self._steps -= _RESERVED_STEPS
            holder[key] = None  # keeps the order of the members
            self._jobs.append(_Job(value, holder, key, place, ancestors))

    def _is_light(self, value: Any, depth: int, room: int = _SMALL_ROOM) -> bool:
        """Whether orjson can encode a value as it is within the budget, which is then charged."""
        left = -1
        try:
            left = budget_left(value, room, MAX_DEPTH - depth + 1)
            size = 0 if left < 0 else len(orjson.dumps(value, option=OPTIONS))
        except not_interrupts():  # a surrogate, a key that is not text, a change by a thread
            size = 0
        if not 0 < size <= self._room:
            self._steps -= _STEPS_PER_ATTEMPT
            return False
        self._room -= size
        self._steps -= 1 + (room - left) // _PRICE_PER_STEP
        return True

    def _put_text(self, holder: Any, key: Any, text: str, place: Path | None) -> None:
        self._room -= min(len(text), _PRICED_TEXT) + len('"",')
        if len(text) > _PRICED_TEXT:
            self._long.append(_Text(holder, key, place))
            holder[key] = text  # surrogates are replaced once it is shortened
        else:
            holder[key] = replace_surrogates(text)

    def _run(self, job: _Job, share: int) -> None:
        self._room += _RESERVED_ROOM
        self._steps += _RESERVED_STEPS
        if self._steps <= 0:
            self._leave_out(job.place, 2)
            job.holder[job.key] = CUT
            return
        try:
            self._expand(job, share)
        except not_interrupts():  # the host's code; keep the rest of the payload
            # Not its `repr()`, which is the host's code as well.
            job.holder[job.key] = class_placeholder(job.value)

    def _expand(self, job: _Job, share: int) -> None:
        self._steps -= _STEPS_PER_CONTAINER
        if job.ancestors.contains(job.value):
            job.holder[job.key] = CUT
            return
        value = job.value
        if type(value) not in _CONTAINERS:
            value, steps, oversized = self._expander.expand(value, self._steps)
            self._steps -= steps
            for name in oversized:
                self._leave_out((job.place, name), 2)
        if type(value) in _CONTAINERS:
            if self._is_light_enough(value, job, share):
                job.holder[job.key] = value
                return
            size, is_object = len(value), type(value) is dict
            expanded = Fields(value.items(), size) if is_object else Items(value, size)
        elif isinstance(value, Fields | Items):
            expanded = value
        else:
            self._put_atom(job, value)
            return
        depth = job.ancestors.depth
        depth += depth == 1 and isinstance(expanded, Items)  # wrapped as `value`
        if depth > MAX_DEPTH:
            self._leave_out(job.place, 2)
            job.holder[job.key] = CUT
            return
        inside = job.ancestors.inside(job.value, depth)
        floor = self._room - share
        if isinstance(expanded, Fields):
            self._copy_fields(job, expanded, floor, inside)
        else:
            self._copy_items(job, expanded, floor, inside)

    def _is_light_enough(self, value: Any, job: _Job, share: int) -> bool:
        """Whether a container can stay as it is. `_put` already tried small ones of the host."""
        if value is job.value and len(value) <= _SMALL:
            return False
        self._steps -= min(len(value), share // 8) // _NUMBERS_PER_STEP
        return self._is_light(value, job.ancestors.depth, max(share, _SMALL_ROOM))

    def _put_atom(self, job: _Job, value: Any) -> None:
        if isinstance(value, str):
            self._put_text(job.holder, job.key, str.__str__(value), job.place)
        else:
            job.holder[job.key] = number(value)

    def _copy_fields(self, job: _Job, fields: Fields, floor: int, inside: _Ancestors) -> None:
        copied: dict[str, Any] = {}
        job.holder[job.key] = copied
        most = self._steps // (_FOREIGN_COST // 4 if fields.foreign else 1)
        pairs = self._take(job, fields.pairs, fields.length, most)
        names = _Names(pairs)
        for done, (key, member) in enumerate(pairs):
            if self._room < floor or self._steps <= 0:
                self._leave_out(job.place, (len(pairs) - done) * 5)
                break
            self._steps -= 1
            name = names.name(key)
            if type(key) is str and len(key) > len(name):
                self._leave_out((job.place, name), len(key) - len(name))
            self._room -= len(name) + len('"":')
            self._put(copied, name, member, (job.place, name), inside)

    def _copy_items(self, job: _Job, items: Items, floor: int, inside: _Ancestors) -> None:
        copied: list[Any] = []
        job.holder[job.key] = copied
        most = self._steps * _NUMBERS_PER_STEP // (_FOREIGN_COST if items.foreign else 1)
        members = self._take(job, items.members, items.length, most)
        self._steps -= len(members) // 64
        if self._copy_numbers(job, copied, members, floor):
            return
        for index, member in enumerate(members):
            if self._room < floor or self._steps <= 0:
                self._leave_out(job.place, (len(members) - index) * 2)
                break
            self._steps -= 1
            copied.append(None)
            self._put(copied, index, member, (job.place, index), inside)

    def _copy_numbers(self, job: _Job, copied: list[Any], members: list[Any], floor: int) -> bool:
        """Copy a list that contains only numbers. Return False for any other list."""
        if not members or not _NUMBERS.issuperset(map(type, members)):
            return False
        try:
            size = len(orjson.dumps(members))
        except TypeError:  # one is beyond 64 bits
            return False
        room = max(self._room - floor, 0)
        kept = len(members) if size <= room else len(members) * room // size
        if kept < len(members):
            self._leave_out(job.place, size - room)
        copied.extend(members[:kept])
        self._room -= min(size, room)
        return True

    def _take(self, job: _Job, members: Iterable[Any], count: int | None, most: int) -> list[Any]:
        """Return the first members, at most as many as there may be room for."""
        most = max(min(most, self._room // 2), 0)
        source = iter(members)
        taken: list[Any] = []
        try:
            taken.extend(islice(source, most))
        except not_interrupts():  # the host's iterator; keep what it yielded before
            pass
        if len(taken) == most and count != most:
            self._leave_out(job.place, max((count or 0) - most, 1) * 2)
        return taken

    def _leave_out(self, place: Path | None, size: int) -> None:
        self._places[place] = None
        self._missing += size

    def _shorten(self) -> None:
        """Shorten the longest texts to one length if there is no room for all of them."""
        if not self._long:
            return
        # Add back what each text was charged.
        room = self._limit // 8 + max(self._room, 0) + _PRICED_TEXT * len(self._long)
        whole = [each.holder[each.key] for each in self._long]
        most = max(fair_share([len(text) for text in whole], room), _PRICED_TEXT)
        texts = [replace_surrogates(text[:most]) for text in whole]
        # A character takes up to six bytes of JSON.
        sizes = [len(orjson.dumps(text)) for text in texts]
        longest = max(fair_share(sizes, room), _PRICED_TEXT)
        for (holder, key, place), text, given, size in zip(
            self._long, texts, whole, sizes, strict=True
        ):
            holder[key] = text
            if size > longest or len(given) > most:
                holder[key] = shortened = truncate_text(text + _ELLIPSIS, min(longest, size))
                self._leave_out(place, len(given) - len(shortened))


class _Names:
    """Makes unique member names from the keys of a dict."""

    def __init__(self, pairs: list[tuple[Any, Any]]) -> None:
        # Keys that are names already keep them, regardless of their position.
        self._used = {key for key, _ in pairs if _is_name(key)}
        self._numbers: dict[str, int] = {}

    def name(self, key: Any) -> str:
        if _is_name(key):
            return cast("str", key)
        try:
            text = replace_surrogates(key[: MAX_KEY + 1]) if type(key) is str else key_text(key)
        except not_interrupts():  # the host's code
            text = class_placeholder(key)
        name = text if len(text) <= MAX_KEY else text[:MAX_KEY] + _ELLIPSIS
        base, counted = name, self._numbers.get(name, 1)
        while name in self._used:
            counted += 1
            name = f"{base} ({counted})"
        self._numbers[base] = counted
        self._used.add(name)
        return name


def _is_name(key: Any) -> bool:
    return (
        type(key) is str
        and len(key) <= MAX_KEY
        and (key.isascii() or replace_surrogates(key) == key)
    )


def number(value: Any) -> Any:
    """Return a number, a boolean or None as JSON: text beyond 64 bits, None for NaN."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return float.__float__(value) if math.isfinite(value) else None
    plain = int.__int__(value)
    return plain if -(2**63) <= plain < 2**64 else int_text(plain)
