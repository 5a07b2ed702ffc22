"""Writes spans into a database through the server's writer and storage only.

What is written is what the server would have written (ids, keys, summaries, compressed payloads,
counts), in the same batches and as durably. Left out is what comes before: HTTP, JSON, and the
checks and templates.
"""

from __future__ import annotations

import json
import os
import time
from itertools import count
from typing import TYPE_CHECKING

from loadgen import TEXT, TOKEN

from prefactor_server.bootstrap import bootstrap
from prefactor_server.commands.agent_instance import FinishInstance, StartInstance
from prefactor_server.commands.agent_instance_register import (
    DeclaredSchema,
    NewIds,
    RegisterInstance,
)
from prefactor_server.commands.agent_span import CreateSpan, FinishSpan, SpanFacts
from prefactor_server.commands.base import Request
from prefactor_server.commands.writer import Writer
from prefactor_server.domain.agent_schema_version import SchemaContent
from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.pfid import PfidMaker
from prefactor_server.domain.runs.agent_span import SpanPayload
from prefactor_server.domain.runs.usage import Usage
from prefactor_server.payloads import encode_document
from prefactor_server.storage.sqlite.backend import SqliteStorage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from prefactor_server.commands.base import Command
    from prefactor_server.domain.account import Account
    from prefactor_server.domain.runs.agent_instance import AgentInstance
    from prefactor_server.storage.base import Storage

_DOCUMENT = json.dumps({"model": "large-1", "prompt": TEXT}, separators=(",", ":")).encode()
_FACTS = SpanFacts(
    schema_title="agent:llm",
    registered=True,
    payload_problem="",
    result_problem=None,
    summary="large-1: What the agent was asked, at the...",
    usage=Usage(210, 0, 210, "large-1"),
)


def _now() -> int:
    return time.time_ns() // 1000


class Filler:
    """Fills a database. No server may run on its file meanwhile."""

    def __init__(self, storage: Storage, account: Account, ids: PfidMaker) -> None:
        self.account_id = account.id
        self._storage = storage
        self._account = account
        self._ids = ids
        self._writer = Writer(storage, max_queue_bytes=1 << 30)
        self._keys = count(time.time_ns())
        self._encoded = encode_document(_DOCUMENT)
        self._principal = Principal(
            "token", account.id, account.partition, "account", None, None, None, "admin"
        )

    @classmethod
    async def open(cls, path: Path) -> Filler:
        """Open a database file, or make one that knows the token of the benchmarks."""
        return await cls.on(SqliteStorage.open(path))

    @classmethod
    async def on(cls, storage: Storage, clock: Callable[[], int] = _now) -> Filler:
        """Fill an open database, with ids of a clock."""
        ids = PfidMaker(clock, os.urandom)
        await bootstrap(storage, TOKEN, ids=ids, now=_now(), random_bytes=os.urandom)
        return cls(storage, (await storage.accounts())[0], ids)

    async def new_run(self) -> AgentInstance:
        """Register a run."""
        run_id = self._fresh()
        content = SchemaContent(
            self._account.id, b"filled".ljust(16), 0, b'{"span_type_schemas":[]}'
        )
        schema = DeclaredSchema(None, content, 0)
        register = RegisterInstance(
            request=self._request(),
            principal=self._principal,
            id=run_id,
            agent_ref="filled",
            environment_id=None,
            metadata=None,
            schema=schema,
            empty_schema=schema,
            update_current_version=True,
            purpose="live",
            external_identifier=None,
            new_ids=NewIds(self._fresh(), self._fresh(), self._fresh(), self._fresh()),
            create_agent=True,
        )
        await self._writer.submit([register], 1)
        run = await self._storage.instance(self._account.id, run_id)
        assert run is not None
        return run

    def spans(self, run: AgentInstance, number: int) -> list[CreateSpan]:
        """Return the commands for new spans of a run."""
        return [self._span(run) for _ in range(number)]

    def ends(self, spans: Sequence[CreateSpan]) -> list[FinishSpan]:
        """Return the commands that finish some spans."""
        return [
            FinishSpan(
                request=self._request(),
                principal=self._principal,
                id=span.id,
                status="complete",
                finished_at=_now(),
                flags=0,
                result_size=len(_DOCUMENT),
                payloads=(SpanPayload(self._account.id, span.id, 1, *self._encoded),),
                facts=_FACTS,
            )
            for span in spans
        ]

    async def end(self, run: AgentInstance, at: int) -> None:
        """Start and finish a run."""
        await self.write([StartInstance(self._request(), self._principal, run.id, at)])
        await self.write([FinishInstance(self._request(), self._principal, run.id, "complete", at)])

    async def write(self, commands: Sequence[Command]) -> None:
        """Execute commands as one request."""
        outcomes = await self._writer.submit(commands, 1)
        assert len(outcomes) == len(commands)

    async def close(self) -> None:
        """Finish, and release the database."""
        await self._writer.close()
        await self._storage.close()

    def _span(self, run: AgentInstance) -> CreateSpan:
        span_id = self._fresh()
        return CreateSpan(
            request=self._request(),
            principal=self._principal,
            id=span_id,
            agent_instance_id=run.id,
            parent_span_id=None,
            schema_name="agent:llm",
            status="active",
            started_at=_now(),
            finished_at=None,
            flags=0,
            payload_size=len(_DOCUMENT),
            result_size=0,
            payloads=(SpanPayload(self._account.id, span_id, 0, *self._encoded),),
            schema_version_id=run.agent_schema_version_id,
            facts=_FACTS,
        )

    def _request(self) -> Request:
        key = f"filled-{next(self._keys)}"
        return Request(self._account.id, "token", _now(), key, b"0123456789abcdef")

    def _fresh(self) -> str:
        return self._ids.make(self._account.partition)
