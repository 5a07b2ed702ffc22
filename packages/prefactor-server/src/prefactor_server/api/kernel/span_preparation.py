"""Finding out about spans before they are written: which type they have, and what is in them.

Schema checks, summaries, usage and encoding are done here, beside the writer and not in it. What is
needed for them (which schema version a run is bound to, what it declares, how an open span began)
is kept between requests. What may have changed since (a pruned run's id may be used again, an
agent's next registration may be bound to another version) is only assumed: the command that rests
on it notices when it is committed, and is prepared again from what is stored.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec

from prefactor_server.api.kernel.work import Work
from prefactor_server.commands.agent_span import SpanFacts
from prefactor_server.domain.agent_instance import Purpose
from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.usage import extract_usage
from prefactor_server.queries import Reader
from prefactor_server.queries.agent_span import SpanRecord
from prefactor_server.validation.budget import Budget
from prefactor_server.validation.cache import ContentCache, LatestCache
from prefactor_server.validation.span_types import (
    NO_SPAN_TYPES,
    SpanTypeCompiler,
    SpanTypes,
    check_span,
)

_MAX_RUNS: Final = 20_000
_MAX_CONTENT_BYTES: Final = 8 * 1024 * 1024
_MAX_BINDINGS: Final = 10_000
_MAX_OPEN_SPAN_BYTES: Final = 16 * 1024 * 1024
_MAX_COMPILED_INLINE: Final = 2_000
"""Characters of schemas and templates; compiling more is done by a thread, beside the loop."""


class _Declared(msgspec.Struct, frozen=True):
    """What a schema version declares, each member as it stands."""

    span_type_schemas: list[dict[str, msgspec.Raw]] = msgspec.field(
        default_factory=list[dict[str, msgspec.Raw]]
    )
    quality_schemas: list[dict[str, msgspec.Raw]] = msgspec.field(
        default_factory=list[dict[str, msgspec.Raw]]
    )


_decoder: Final = msgspec.json.Decoder(_Declared)


class RunFacts(NamedTuple):
    """What is fixed about a run."""

    schema_version_id: str
    purpose: Purpose


class SpanStart(NamedTuple):
    """What is fixed about a span: what its finish is checked together with."""

    agent_instance_id: str
    schema_name: str
    payload: bytes


@dataclass(slots=True)
class PendingWrites:
    """What earlier writes of a request will have written once they are committed.

    An assumption about a run may turn out wrong (its registration may find a version that it could
    not know of); the commands that rest on it notice, and are prepared again without it.
    """

    reread: bool = False
    """Whether what is kept about runs proved wrong, so that it has to be read again."""

    runs: dict[str, RunFacts] = field(default_factory=dict[str, RunFacts])
    bindings: dict[Hashable, str] = field(default_factory=dict[Hashable, str])
    """The schema versions that registrations of this request will be bound to."""

    types: dict[str, SpanTypes] = field(default_factory=dict[str, SpanTypes])
    contents: dict[str, bytes] = field(default_factory=dict[str, bytes])
    spans: dict[str, SpanStart] = field(default_factory=dict[str, SpanStart])
    prefetched: dict[str, SpanStart] = field(default_factory=dict[str, SpanStart])
    """What was read for the writes to come; each takes its own out, so that it is not kept."""


class _Content(NamedTuple):
    """What a schema version declares, and a digest of it."""

    hash: bytes
    document: bytes

    @classmethod
    def of(cls, document: bytes) -> _Content:
        return cls(hashlib.blake2b(document, digest_size=16).digest(), document)


class SpanPreparer:
    """Finds out about spans, and remembers what it needs for that."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._compiler = SpanTypeCompiler()
        self._runs: LatestCache[RunFacts] = LatestCache(_MAX_RUNS)
        self._contents: ContentCache[_Content] = ContentCache(_MAX_CONTENT_BYTES)
        self._bindings: LatestCache[str] = LatestCache(_MAX_BINDINGS)
        self._spans: LatestCache[SpanStart] = LatestCache(_MAX_OPEN_SPAN_BYTES)

    async def run(
        self, principal: Principal, run_id: str, pending: PendingWrites
    ) -> RunFacts | None:
        """What is fixed about a run, or None when there is none for this caller."""
        known = pending.runs.get(run_id)
        if known is None and not pending.reread:
            known = self._runs.get((principal.account_id, run_id))
        if known is not None:
            return known
        run = await self._reader.agent_instances.find(principal, run_id)
        if run is None:
            return None
        facts = RunFacts(run.agent_schema_version_id, run.purpose)
        return self.remember_run(principal, run_id, facts)

    def remember_run(self, principal: Principal, run_id: str, facts: RunFacts) -> RunFacts:
        """Keep what is fixed about a run that was written."""
        return self._runs.put((principal.account_id, run_id), 1, facts)

    def likely_binding(
        self, principal: Principal, binding: Hashable, pending: PendingWrites
    ) -> str | None:
        """The schema version that such a registration is likely to be bound to, if known."""
        return pending.bindings.get(binding) or self._bindings.get((principal.account_id, binding))

    def remember_binding(
        self, principal: Principal, binding: Hashable, schema_version_id: str
    ) -> None:
        """Keep which schema version a registration was bound to."""
        self._bindings.put((principal.account_id, binding), 1, schema_version_id)

    async def types(
        self, principal: Principal, schema_version_id: str, pending: PendingWrites
    ) -> SpanTypes:
        """The span types of a schema version."""
        known = pending.types.get(schema_version_id)
        if known is not None:
            return known
        fresh = pending.contents.get(schema_version_id)
        if fresh is not None:
            types = self._span_types(_Content.of(fresh))
            return pending.types.setdefault(schema_version_id, types)
        content = await self._content(principal, schema_version_id)
        return NO_SPAN_TYPES if content is None else self._span_types(content)

    async def compile_ahead(self, types: SpanTypes, name: str, work: Work) -> None:
        """Compile one of the types, beside the event loop if that takes long."""
        if name in types.compiled or name not in types:
            return
        if types.work_ahead(name) > _MAX_COMPILED_INLINE:
            await asyncio.to_thread(types.compile, name, work.budget)
        else:
            types.compile(name, work.budget)

    async def quality_types(
        self, principal: Principal, schema_version_id: str, pending: PendingWrites
    ) -> SpanTypes:
        """The quality schemas of a schema version: to a template, they are span types."""
        fresh = pending.contents.get(schema_version_id)
        if fresh is not None:
            content = _Content.of(fresh)
        else:
            found = await self._content(principal, schema_version_id)
            if found is None:
                return NO_SPAN_TYPES
            content = found
        return self._compiler.span_types(
            b"quality" + content.hash,
            lambda: [
                {**one, "params_schema": one.get("schema")}
                for one in _decoder.decode(content.document).quality_schemas
            ],
        )

    async def declared_types(
        self, principal: Principal, schema_version_id: str, pending: PendingWrites
    ) -> list[dict[str, Any]]:
        """The span types of a schema version as they were declared."""
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
        """What is wrong with a JSON Schema, or why it is not used; None when it is."""
        schemas = self._compiler.schemas
        await work.pause()
        if len(schema) > _MAX_COMPILED_INLINE and not schemas.is_kept(schema):
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
        """How a span began, or None when there is none for this caller."""
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
        """Read how spans began that will be asked for one by one, as far as it is not known."""
        missing = [one for one in span_ids if not self._known_span(principal, one, pending)]
        if len(missing) > 1:
            for record in await self._reader.agent_spans.among(principal, missing):
                pending.prefetched[record.span.id] = _span_start(record)

    def _known_span(
        self, principal: Principal, span_id: str, pending: PendingWrites
    ) -> SpanStart | None:
        return pending.spans.get(span_id) or self._spans.get((principal.account_id, span_id))

    def remember_span(self, principal: Principal, span_id: str, start: SpanStart) -> None:
        """Keep how a span began that was written and is still open: its finish will ask."""
        self._spans.put((principal.account_id, span_id), 200 + len(start.payload), start)


def _span_start(record: SpanRecord) -> SpanStart:
    return SpanStart(record.span.agent_instance_id, record.span.schema_name, record.payload)


def span_facts(
    types: SpanTypes,
    schema_name: str,
    payload: dict[str, Any],
    result: dict[str, Any] | None,
    *,
    complete: bool,
    budget: Budget,
) -> SpanFacts:
    """What there is to know about a span's payloads.

    Only a span that is ``complete`` is held to have a result: one that failed or was cancelled has
    none to show for itself, and is not marked for that.
    """
    check = check_span(types, schema_name, payload, result, finished=complete, budget=budget)
    return SpanFacts(
        schema_title=_storable(check.title),
        registered=check.registered,
        payload_problem=_storable(check.params_problem),
        result_problem=_storable(check.result_problem),
        summary=_storable(check.summary),
        usage=extract_usage(payload, result, schema_name),
    )


def _storable(text: str | None) -> str | None:
    """A text made out of what strangers sent, without what some databases cannot keep."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}") if text and "\0" in text else text
