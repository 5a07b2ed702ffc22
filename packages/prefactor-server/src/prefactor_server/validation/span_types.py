"""The span types of a schema version, each compiled when its first span arrives.

A span is never rejected for a mismatch with its type. The result is stored with the span.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, cast

import msgspec

from prefactor_server.validation.budget import Budget
from prefactor_server.validation.cache import ContentCache
from prefactor_server.validation.json_schema.validator import (
    EMPTY_OBJECT_SCHEMA,
    CompiledSchema,
    SchemaCache,
)
from prefactor_server.validation.liquid.template import (
    Template,
    TemplateCache,
    TemplateProblem,
    render_summary,
)

_MAX_CACHED: Final = 64 * 1024 * 1024
_MAX_VERSION: Final = _MAX_CACHED // 2
_TYPE_MEMORY: Final = 1_000

_encoder: Final = msgspec.json.Encoder(order="deterministic")
_EMPTY_OBJECT: Final = _encoder.encode(EMPTY_OBJECT_SCHEMA)


@dataclass(frozen=True, slots=True)
class SpanType:
    """A declared span type. Its schemas are JSON; its templates are texts or None."""

    name: str
    title: str
    params_schema: bytes
    result_schema: bytes
    template: str | None
    result_template: str | None = None
    severity: str | None = None
    """The severity, for an alert schema."""

    @property
    def size(self) -> int:
        """The total number of characters."""
        return sum(map(len, (self.params_schema, self.result_schema, *self.templates)))

    @property
    def templates(self) -> tuple[str, ...]:
        """The templates that it declares."""
        return tuple(one for one in (self.template, self.result_template) if one is not None)


class SpanCheck(msgspec.Struct, frozen=True, gc=False):
    """The result of checking one span.

    A problem is None when nothing was checked, an empty string when the payload matches, and a
    message otherwise.
    """

    title: str
    registered: bool
    params_problem: str | None
    result_problem: str | None
    summary: str | None


class SpanChecker(msgspec.Struct, frozen=True):
    """What the spans of one type are checked with. An undeclared type has only its title.

    ``result_template`` is used for spans with a result.
    """

    title: str
    params: CompiledSchema | None = None
    result: CompiledSchema | None = None
    template: Template | None = None
    result_template: Template | None = None

    def check(
        self,
        payload: Mapping[str, object],
        result_payload: Mapping[str, object] | None,
        *,
        finished: bool,
        budget: Budget,
    ) -> SpanCheck:
        """Check a span's payloads against its type and render its summary. Never raises.

        A span of an undeclared type is accepted: its title is the name of the type, and nothing is
        checked or rendered. A result is checked if there is one. With `finished`, a missing result
        is checked as an empty one. Work that exceeds the budget is skipped.
        """
        if self.params is None or self.result is None:
            return SpanCheck(self.title, False, None, None, None)  # noqa: FBT003 - the field says it
        params_problem = self.params.check(payload, budget)
        result_problem = None
        if finished or result_payload is not None:
            result_problem = self.result.check(result_payload or {}, budget)
        template = self.template if result_payload is None else self.result_template
        summary = None
        if template is not None:
            summary = render_summary(template, payload, result_payload, budget)
        return SpanCheck(self.title, True, params_problem, result_problem, summary)  # noqa: FBT003 - the field says it


class SpanTypeCompiler:
    """Compiles schemas and templates of span types, each distinct one only once."""

    def __init__(self) -> None:
        self.schemas = SchemaCache()
        self.templates = TemplateCache()
        self._versions: ContentCache[SpanTypes] = ContentCache(_MAX_CACHED)

    def span_types(self, content_hash: bytes, load: Callable[[], object]) -> SpanTypes:
        """Return the span types of a content hash, calling `load` if they are not cached.

        `load` returns the declared span types, see `declared`.
        """
        cached = self._versions.get(content_hash)
        if cached is not None:
            return cached
        types = self.declared(load())
        memory = sum(_TYPE_MEMORY + span_type.size for span_type in types.values())
        # A version is cached even if it has many types, because each of its spans needs it.
        return self._versions.put(content_hash, min(memory, _MAX_VERSION), types)

    def declared(self, declared: object) -> SpanTypes:
        """Return declared span types, from a list of objects or a map from name to object.

        Values are decoded JSON or `msgspec.Raw`. Entries without a usable name are ignored, and the
        last one of a duplicate name counts. Nothing is compiled.
        """
        types = [_span_type(entry) for entry in _entries(declared)]
        return SpanTypes({one.name: one for one in types if one is not None}, self)


class SpanTypes(Mapping[str, SpanType]):
    """The span types of one schema version by name, with their compiled forms."""

    __slots__ = ("_compiler", "_types", "compiled")

    def __init__(self, types: Mapping[str, SpanType], compiler: SpanTypeCompiler) -> None:
        self._types = types
        self._compiler = compiler
        self.compiled: set[str] = set()
        """The names of the types that were compiled at least once. The cache may have dropped
        them."""

    def __getitem__(self, name: str) -> SpanType:
        return self._types[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._types)

    def __len__(self) -> int:
        return len(self._types)

    def params(self, span_type: SpanType, budget: Budget) -> CompiledSchema:
        """Return the schema of a type's payloads, compiled within the budget."""
        return self._compiler.schemas.compile_document(span_type.params_schema, budget)

    def result(self, span_type: SpanType, budget: Budget) -> CompiledSchema:
        """Return the schema of a type's results, compiled within the budget."""
        return self._compiler.schemas.compile_document(span_type.result_schema, budget)

    def template(self, source: str, budget: Budget) -> Template | TemplateProblem:
        """Return a template of a type, parsed within the budget."""
        return self._compiler.templates.compile(source, budget)

    def checker(self, name: str, budget: Budget) -> SpanChecker:
        """Return what spans of a type are checked with, compiled within the budget."""
        span_type = self._types.get(name)
        if span_type is None:
            return SpanChecker(name)
        template = self._template(span_type.template, budget)
        return SpanChecker(
            span_type.title,
            self.params(span_type, budget),
            self.result(span_type, budget),
            template,
            template
            if span_type.result_template is None
            else self._template(span_type.result_template, budget),
        )

    def _template(self, source: str | None, budget: Budget) -> Template | None:
        compiled = None if source is None else self.template(source, budget)
        return compiled if isinstance(compiled, Template) else None

    def uncompiled_size(self, name: str) -> int:
        """Return the number of characters to compile before a span of a type can be checked."""
        span_type = self._types.get(name)
        if span_type is None:
            return 0
        schemas, templates = self._compiler.schemas, self._compiler.templates
        documents = {span_type.params_schema, span_type.result_schema}
        size = sum(len(one) for one in documents if not schemas.is_cached(one))
        size += sum(len(one) for one in span_type.templates if not templates.is_cached(one))
        return size

    def compile(self, name: str, budget: Budget) -> None:
        """Compile the schemas and templates of a type, as far as the budget allows."""
        span_type = self._types[name]
        self.params(span_type, budget)
        self.result(span_type, budget)
        for source in span_type.templates:
            self.template(source, budget)
        if not budget.exceeded:
            self.compiled.add(name)


NO_SPAN_TYPES: Final = SpanTypes({}, SpanTypeCompiler())


def _span_type(entry: Mapping[str, object]) -> SpanType | None:
    name = _decoded(entry.get("name"))
    if not isinstance(name, str):
        return None
    title, result = _decoded(entry.get("title")), _document(entry.get("result_schema"))
    return SpanType(
        name=name,
        title=title if isinstance(title, str) and title.strip() else name,
        params_schema=_document(entry.get("params_schema")),
        result_schema=_EMPTY_OBJECT if result == b"null" else result,
        template=_text(entry.get("template")),
        result_template=_text(entry.get("result_template")),
        severity=_text(entry.get("severity")),
    )


def _text(value: object) -> str | None:
    value = _decoded(value)
    return value if isinstance(value, str) else None


def _decoded(value: object) -> object:
    return msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value


def _document(value: object) -> bytes:
    """Return a schema as JSON, or invalid JSON if it cannot be encoded, which compiling reports."""
    if isinstance(value, msgspec.Raw):
        return bytes(value)
    try:
        return _encoder.encode(value)
    except (TypeError, ValueError, RecursionError):
        return b""


def _entries(declared: object) -> Iterable[Mapping[str, object]]:
    if isinstance(declared, dict):
        named = cast("dict[str, object]", declared)
        entries: Iterable[object] = (
            {"name": name, **cast("dict[str, object]", entry)}
            for name, entry in named.items()
            if isinstance(entry, dict)
        )
    else:
        entries = cast("list[object]", declared) if isinstance(declared, list) else ()
    return (cast("Mapping[str, object]", entry) for entry in entries if isinstance(entry, dict))
