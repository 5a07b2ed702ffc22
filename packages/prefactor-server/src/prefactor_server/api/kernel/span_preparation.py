"""Prepares spans before they are written: their type, schema checks, summary and usage.

This work happens outside the writer. The data that it needs (the schema version of a run, the
declarations of that version, the start of an open span) is cached between requests. Cached values
that may have changed are assumptions: the id of a pruned run may be reused, and an agent's next
registration may be bound to another version. The command checks them on commit. If one is wrong,
the command is prepared again from storage.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Hashable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from prefactor_server.api.kernel.work import Work
from prefactor_server.commands.agent_span import SpanFacts
from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.errors import TooLarge
from prefactor_server.domain.runs.agent_instance import Purpose
from prefactor_server.domain.runs.usage import extract_usage
from prefactor_server.queries import Reader
from prefactor_server.queries.agent_span import SpanRecord
from prefactor_server.validation.budget import Budget
from prefactor_server.validation.cache import ContentCache, LatestCache
from prefactor_server.validation.span_types import (
    NO_SPAN_TYPES,
    SpanChecker,
    SpanTypeCompiler,
    SpanTypes,
)

_MAX_RUNS: Final = 20_000
_MAX_CONTENT_BYTES: Final = 8 * 1024 * 1024
_MAX_BINDINGS: Final = 10_000
_MAX_OPEN_SPAN_BYTES: Final = 16 * 1024 * 1024
_MAX_PREFETCHED_BYTES: Final = 8 * 1024 * 1024
_MAX_COMPILED_INLINE: Final = 2_000
"""Characters of schemas and templates above which they are compiled in a thread."""


class _Declared(msgspec.Struct, frozen=True):
    """The declarations of a schema version, with undecoded members."""

    span_type_schemas: list[dict[str, msgspec.Raw]] = msgspec.field(
        default_factory=list[dict[str, msgspec.Raw]]
    )
    quality_schemas: list[dict[str, msgspec.Raw]] = msgspec.field(
        default_factory=list[dict[str, msgspec.Raw]]
    )
    alert_schemas: list[dict[str, msgspec.Raw]] = msgspec.field(
        default_factory=list[dict[str, msgspec.Raw]]
    )


_decoder: Final = msgspec.json.Decoder(_Declared)


class RunFacts(msgspec.Struct, frozen=True, gc=False):
    """The immutable facts about a run."""

    schema_version_id: str
    purpose: Purpose


class SpanStart(msgspec.Struct, frozen=True, gc=False):
    """The immutable facts about a span, which its finish is checked against."""

    agent_instance_id: str
    schema_name: str
    payload: bytes


class PendingWrites(msgspec.Struct):
    """The rows that earlier writes of the same request will have stored once they are committed.

    An assumption about a run may be wrong, because its registration may find a version that is
    unknown to this process. Commands that depend on it detect that, and are prepared again without
    the assumption.
    """

    reread: bool = False
    """Whether cached facts about runs were stale and must be read again."""

    runs: dict[str, RunFacts] = {}
    bindings: dict[Hashable, str] = {}
    """The schema versions that this request's registrations will be bound to."""

    types: dict[str, SpanTypes] = {}
    checkers: dict[tuple[str | None, str], SpanChecker] = {}
    """The checkers of this request's spans, by schema version and type."""

    contents: dict[str, bytes] = {}
    evaluated_runs: set[str] = set()
    """The runs whose quality these writes load."""

    spans: dict[str, SpanStart] = {}
    prefetched: dict[str, SpanStart] = {}
    """Spans read for the next writes. Each write removes its own."""


class _Content(NamedTuple):
    """The document of a schema version and its digest."""

    hash: bytes
    document: bytes

    @classmethod
    def of(cls, document: bytes) -> _Content:
        return cls(hashlib.blake2b(document, digest_size=16).digest(), document)


class SpanPreparer:
    """Prepares spans, with caches of runs, schema versions and open spans."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._compiler = SpanTypeCompiler()
        self._runs: LatestCache[RunFacts] = LatestCache(_MAX_RUNS)
        self._contents: ContentCache[_Content] = ContentCache(_MAX_CONTENT_BYTES)
        self._bindings: LatestCache[str] = LatestCache(_MAX_BINDINGS)
        self._spans: LatestCache[SpanStart] = LatestCache(_MAX_OPEN_SPAN_BYTES)

    def known_run(
        self, principal: Principal, run_id: str, pending: PendingWrites
    ) -> RunFacts | None:
        """Return the facts about a run if they are cached."""
        known = pending.runs.get(run_id)
        if known is None and not pending.reread:
            known = self._runs.get(_scoped(principal, run_id))
        return known

    async def run(
        self, principal: Principal, run_id: str, pending: PendingWrites
    ) -> RunFacts | None:
        """Return the facts about a run, or None if it does not exist for this caller."""
        known = self.known_run(principal, run_id, pending)
        if known is not None:
            return known
        run = await self._reader.agent_instances.find(principal, run_id)
        if run is None:
            return None
        facts = RunFacts(run.agent_schema_version_id, run.purpose)
        return self.remember_run(principal, run_id, facts)

    def remember_run(self, principal: Principal, run_id: str, facts: RunFacts) -> RunFacts:
        """Cache the facts about a run that was written."""
        return self._runs.put(_scoped(principal, run_id), 1, facts)

    def likely_binding(
        self, principal: Principal, binding: Hashable, pending: PendingWrites
    ) -> str | None:
        """Return the schema version that a registration will probably be bound to, if known."""
        return pending.bindings.get(binding) or self._bindings.get((principal.account_id, binding))

    def remember_binding(
        self, principal: Principal, binding: Hashable, schema_version_id: str
    ) -> None:
        """Cache the schema version that a registration was bound to."""
        self._bindings.put((principal.account_id, binding), 1, schema_version_id)

    async def types(
        self, principal: Principal, schema_version_id: str, pending: PendingWrites
    ) -> SpanTypes:
        """Return the span types of a schema version."""
        known = pending.types.get(schema_version_id)
        if known is not None:
            return known
        fresh = pending.contents.get(schema_version_id)
        if fresh is not None:
            types = self._span_types(_Content.of(fresh))
            return pending.types.setdefault(schema_version_id, types)
        content = await self._content(principal, schema_version_id)
        if content is None:
            return NO_SPAN_TYPES
        # For the next span of the same request, which usually belongs to the same run.
        return pending.types.setdefault(schema_version_id, self._span_types(content))

    async def checker(
        self,
        principal: Principal,
        schema_version_id: str,
        name: str,
        pending: PendingWrites,
        work: Work,
    ) -> SpanChecker:
        """Return the checker of a span type. It is compiled if this is the type's first span."""
        types = await self.types(principal, schema_version_id, pending)
        await self.compile_ahead(types, name, work)
        checker = types.checker(name, work.budget)
        if types is not NO_SPAN_TYPES and not work.budget.exceeded:
            pending.checkers[schema_version_id, name] = checker
        return checker

    async def compile_ahead(self, types: SpanTypes, name: str, work: Work) -> None:
        """Compile a type, in a thread if that takes long."""
        if name in types.compiled or name not in types:
            return
        if types.uncompiled_size(name) > _MAX_COMPILED_INLINE:
            await asyncio.to_thread(types.compile, name, work.budget)
        else:
            types.compile(name, work.budget)

    async def quality_types(
        self, principal: Principal, schema_version_id: str, pending: PendingWrites
    ) -> SpanTypes:
        """Return the quality schemas of a schema version in the form of span types."""
        return await self._schemas(principal, schema_version_id, pending, "quality_schemas")

    async def alert_types(
        self, principal: Principal, schema_version_id: str, pending: PendingWrites
    ) -> SpanTypes:
        """Return the alert schemas of a schema version in the form of span types."""
        return await self._schemas(principal, schema_version_id, pending, "alert_schemas")

    async def _schemas(
        self, principal: Principal, schema_version_id: str, pending: PendingWrites, kind: str
    ) -> SpanTypes:
        fresh = pending.contents.get(schema_version_id)
        if fresh is not None:
            content = _Content.of(fresh)
        else:
            found = await self._content(principal, schema_version_id)
            if found is None:
                return NO_SPAN_TYPES
            content = found
        return self._compiler.span_types(
            kind.encode() + content.hash,
            lambda: [
                {**one, "params_schema": one.get("schema")}
                for one in getattr(_decoder.decode(content.document), kind)
            ],
        )

    async def declared_types(
        self, principal: Principal, schema_version_id: str, pending: PendingWrites
    ) -> list[dict[str, Any]]:
        """Return the span types of a schema version as declared."""
        document = pending.contents.get(schema_version_id)
        if document is None:
            found = await self._content(principal, schema_version_id)
            document = b'{"span_type_schemas":[]}' if found is None else found.document
        declared: list[dict[str, Any]] = msgspec.json.decode(document)["span_type_schemas"]
        return declared

    async def _content(self, principal: Principal, schema_version_id: str) -> _Content | None:
        key = (principal.account_id, schema_version_id)
        content = self._contents.get(key)
        if content is None:
            document = await self._reader.agent_schema_versions.content(*key)
            if document is None:
                return None
            content = self._contents.put(key, 200 + len(document), _Content.of(document))
        return content

    async def schema_problem(self, schema: bytes, work: Work) -> str | None:
        """Return why a JSON Schema is invalid or unused, or None if it is used."""
        schemas = self._compiler.schemas
        await work.pause()
        if len(schema) > _MAX_COMPILED_INLINE and not schemas.is_cached(schema):
            compiled = await asyncio.to_thread(schemas.compile_document, schema, work.budget)
        else:
            compiled = schemas.compile_document(schema, work.budget)
        return compiled.problem

    def _span_types(self, content: _Content) -> SpanTypes:
        return self._compiler.span_types(
            content.hash, lambda: _decoder.decode(content.document).span_type_schemas
        )

    async def span(
        self, principal: Principal, span_id: str, pending: PendingWrites
    ) -> SpanStart | None:
        """Return the start of a span, or None if it does not exist for this caller."""
        known = self._known_span(principal, span_id, pending) or pending.prefetched.pop(
            span_id, None
        )
        if known is not None:
            return known
        record = await self._reader.agent_spans.find(principal, span_id)
        if record is None:
            return None
        return _span_start(record)

    async def prefetch_spans(
        self, principal: Principal, span_ids: Sequence[str], pending: PendingWrites
    ) -> None:
        """Read the starts of uncached spans in one query, ahead of single lookups."""
        missing = [id_ for id_ in span_ids if not self._known_span(principal, id_, pending)]
        if len(missing) > 1:
            try:
                found = await self._reader.agent_spans.existing(
                    principal, missing, _MAX_PREFETCHED_BYTES
                )
            except TooLarge:
                # Each is read when it is prepared, so that only one is in memory.
                return
            for record in found:
                pending.prefetched[record.span.id] = _span_start(record)

    def _known_span(
        self, principal: Principal, span_id: str, pending: PendingWrites
    ) -> SpanStart | None:
        return pending.spans.get(span_id) or self._spans.get(_scoped(principal, span_id))

    def remember_span(self, principal: Principal, span_id: str, start: SpanStart) -> None:
        """Cache the start of an open span, for its finish."""
        self._spans.put(_scoped(principal, span_id), 200 + len(start.payload), start)


def _span_start(record: SpanRecord) -> SpanStart:
    return SpanStart(record.span.agent_instance_id, record.span.schema_name, record.payload)


def _scoped(principal: Principal, row_id: str) -> tuple[str, str | None, str]:
    """Return the cache key of a row, which keeps each deployment to its own rows."""
    return principal.account_id, principal.agent_deployment_id, row_id


def span_facts(
    checker: SpanChecker,
    schema_name: str,
    payload: dict[str, Any],
    result: dict[str, Any] | None,
    *,
    complete: bool,
    budget: Budget,
) -> SpanFacts:
    """Return the facts about a span's payloads.

    Only a ``complete`` span must have a result. A failed or cancelled one is not marked without
    one.
    """
    check = checker.check(payload, result, finished=complete, budget=budget)
    # Summaries contain no control characters.
    return SpanFacts(
        _storable(check.title),
        check.registered,
        check.params_problem and _storable(check.params_problem),
        check.result_problem and _storable(check.result_problem),
        check.summary,
        extract_usage(payload, result, schema_name),
    )


def _storable(text: str) -> str:
    """Replace NUL, which some databases cannot store in a text."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
