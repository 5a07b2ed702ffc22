"""The span types of a schema version, ready to check spans with.

A span is never refused for not matching its type: what is found out here is stored beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, TypeAlias, cast

from prefactor_server.checks.cache import ContentCache
from prefactor_server.checks.json_schema import (
    EMPTY_OBJECT_SCHEMA,
    CompiledSchema,
    Schemas,
    unchecked,
)
from prefactor_server.checks.liquid import (
    Template,
    TemplateProblem,
    Templates,
    render_summary,
)

_MAX_VERSION: Final = 32 * 1024 * 1024
_MAX_KEPT: Final = 2 * _MAX_VERSION
_TYPE_MEMORY: Final = 1_000
_TEMPLATE_MEMORY_PER_CHARACTER: Final = 45


@dataclass(frozen=True, slots=True)
class SpanType:
    """One declared span type, compiled."""

    name: str
    title: str
    params: CompiledSchema
    result: CompiledSchema
    template: Template | TemplateProblem | None
    result_template: Template | TemplateProblem | None = None

    @property
    def memory(self) -> int:
        """What it holds on to, in bytes, roughly."""
        templates = (self.template, self.result_template)
        source = sum(len(one.source) for one in templates if isinstance(one, Template))
        compiled = self.params.memory + self.result.memory
        return _TYPE_MEMORY + compiled + source * _TEMPLATE_MEMORY_PER_CHARACTER

    def template_for(self, result: object) -> Template | None:
        """Return the template of a span's summary: its own one once there is a result."""
        found = self.template
        if result is not None and self.result_template is not None:
            found = self.result_template
        return found if isinstance(found, Template) else None


_TOO_MUCH: Final = unchecked("the schemas of its version are too large together")


class SpanCheck(NamedTuple):
    """What was found out about one span.

    A problem is None when nothing was checked, an empty text when the payload matches, and
    otherwise says what is wrong with it.
    """

    title: str
    registered: bool
    params_problem: str | None
    result_problem: str | None
    summary: str | None


SpanTypes: TypeAlias = Mapping[str, SpanType]
"""The span types of one schema version, by name."""


class SpanTypeCompiler:
    """Compiles the span types of schema versions, each distinct content once."""

    def __init__(self, schemas: Schemas | None = None, templates: Templates | None = None) -> None:
        self.schemas = schemas or Schemas()
        self.templates = templates or Templates()
        self._versions: ContentCache[SpanTypes] = ContentCache(_MAX_KEPT)

    def span_types(self, content_hash: bytes, load: Callable[[], object]) -> SpanTypes:
        """Return the compiled span types of a content, calling `load` when they are not at hand.

        `load` returns the declared span types as decoded JSON, see `compile`.
        """
        kept = self._versions.get(content_hash)
        if kept is not None:
            return kept
        made = self.compile(load())
        memory = sum(span_type.memory for span_type in made.values())
        # However many types there are, a version is kept: each of its spans asks for it.
        return self._versions.put(content_hash, min(memory, _MAX_VERSION), made)

    def compile(self, declared: object) -> SpanTypes:
        """Compile declared span types: a list of objects, or a map from name to object.

        What has no usable name is left out, and the last of two with the same name counts. A
        version that would take too much memory is checked as far as it does not.
        """
        types: dict[str, SpanType] = {}
        memory = 0
        for entry in _entries(declared):
            span_type = self._compile_one(entry)
            if span_type is None:
                continue
            memory += span_type.memory
            if memory > _MAX_VERSION:
                span_type = replace(
                    span_type,
                    params=_TOO_MUCH,
                    result=_TOO_MUCH,
                    template=None,
                    result_template=None,
                )
            types[span_type.name] = span_type
        return types

    def _compile_one(self, entry: Mapping[str, object]) -> SpanType | None:
        name = entry.get("name")
        if not isinstance(name, str):
            return None
        title, result = entry.get("title"), entry.get("result_schema")
        return SpanType(
            name=name,
            title=title if isinstance(title, str) and title.strip() else name,
            params=self.schemas.compile(entry.get("params_schema")),
            result=self.schemas.compile(EMPTY_OBJECT_SCHEMA if result is None else result),
            template=self._template(entry.get("template")),
            result_template=self._template(entry.get("result_template")),
        )

    def _template(self, declared: object) -> Template | TemplateProblem | None:
        return self.templates.compile(declared) if isinstance(declared, str) else None


def check_span(
    types: SpanTypes,
    schema_name: str,
    payload: Mapping[str, object],
    result_payload: Mapping[str, object] | None,
    *,
    finished: bool,
) -> SpanCheck:
    """Check a span's payloads against its type and render its summary. Never raises.

    A span whose type was not declared is accepted as it is: its title is its type's name, and
    nothing is checked or rendered. A result is checked when there is one; with `finished`, a
    missing result is checked as an empty one.
    """
    span_type = types.get(schema_name)
    if span_type is None:
        return SpanCheck(schema_name, False, None, None, None)  # noqa: FBT003 - the field says it
    has_result = finished or result_payload is not None
    template = span_type.template_for(result_payload)
    return SpanCheck(
        title=span_type.title,
        registered=True,
        params_problem=span_type.params.check(payload),
        result_problem=span_type.result.check(result_payload or {}) if has_result else None,
        summary=None if template is None else render_summary(template, payload, result_payload),
    )


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
