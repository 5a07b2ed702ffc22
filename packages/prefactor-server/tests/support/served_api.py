"""The API over a real storage, called in process on its own event loop and thread."""

import asyncio
import json
import os
import re
import threading
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from listener import listening
from people import session_rows
from webhook_receiver import offline_webhooks

from prefactor_server.api import Api, EventLimits, Limits, create_api
from prefactor_server.commands.base import Decision, Done, Request
from prefactor_server.commands.writer import Writer
from prefactor_server.domain.account import Account
from prefactor_server.domain.api_token import new_token
from prefactor_server.domain.environment import Environment
from prefactor_server.domain.people.role import Role
from prefactor_server.domain.people.session import PREFIX
from prefactor_server.domain.runs.cost import NO_PRICES, PriceTable
from prefactor_server.queries import Reader
from prefactor_server.storage.base import Changes, Needs, Row, Snapshot, Storage

T = TypeVar("T")
NOW = 1_767_225_600_000_000  # 2026-01-01
LIMITS = Limits(
    max_request_bytes=1024 * 1024,
    max_payload_bytes=1024 * 1024,
    token_cache_seconds=3600,
    auto_create_agents=True,
)


class PutRows(NamedTuple):
    """Writes new rows unchecked."""

    request: Request
    rows: tuple[Row, ...]
    operation: str = "tests.put_rows"

    def needs(self, needs: Needs) -> None:
        del needs

    def decide(self, snapshot: Snapshot) -> Decision:
        del snapshot
        return Decision(Changes(inserted=self.rows), Done("", self.rows[0]))


NDJSON = b"application/x-ndjson"


@dataclass(frozen=True)
class Answered:
    """A response of the API."""

    status: int
    text: str
    cookie: str = ""

    @property
    def body(self) -> Any:
        return json.loads(self.text)


class ServedApi:
    """One server's API, with a clock that advances by a microsecond per reading."""

    def __init__(
        self,
        opening: Callable[[], Coroutine[Any, Any, Storage]],
        *,
        prices: PriceTable = NO_PRICES,
    ) -> None:
        self._prices = prices
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._listening = AsyncExitStack()
        self._accounts = count(1)
        self._ticks = count(NOW)
        self.storage, self.writer, self.api = self.do(self._open(opening))

    async def _open(
        self, opening: Callable[[], Coroutine[Any, Any, Storage]]
    ) -> tuple[Storage, Writer, Api]:
        storage = await opening()
        writer = Writer(storage, max_queue_bytes=64 * 1024 * 1024)
        api = create_api(
            Reader.for_storage(storage),
            writer,
            now_us=self._ticks.__next__,
            random_bytes=os.urandom,
            limits=LIMITS,
            prices=self._prices,
            event_limits=EventLimits(stream_seconds=0.02),
            webhooks=offline_webhooks(self._ticks.__next__),
        )
        return storage, writer, api

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(100)

    async def listen(self) -> str:
        """Accept requests over a real socket as well; return the address."""
        return await self._listening.enter_async_context(listening(self.api))

    def close(self) -> None:
        """Write what was accepted, close the storage and end the thread."""
        try:
            self.do(self._listening.aclose())
            self.do(self.writer.close())
            self.do(self.storage.close())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    async def new_account(self, name: str = "Account") -> str:
        """Create an account with a default environment; return the text of its account token."""
        number = next(self._accounts)
        account_id, text = f"account-{number}", f"secret-token-of-account-{number}"
        await self.put(
            Account(account_id, name, number, NOW, NOW),
            Environment(f"default-{number}", account_id, "Default", True, NOW, NOW),
            new_token(text, f"token-{number}", account_id, NOW),
        )
        return text

    async def deployment_token(self, run: Any) -> str:
        """The text of a token of the deployment that a run belongs to."""
        text = f"secret-deployment-token-{next(self._accounts)}"
        names = ("agent_id", "environment_id", "agent_deployment_id")
        bound = {name: run[name] for name in names}
        token_id = f"deployment-{run['agent_deployment_id']}"
        row = new_token(text, token_id, run["account_id"], NOW, scope="agent_deployment", **bound)
        await self.put(row)
        return text

    async def person(self, account_id: str, role: Role, email: str) -> str:
        """Return the session cookie of a new person."""
        number = next(self._accounts)
        person, session, cookie = session_rows(account_id, role, NOW, number=number, email=email)
        await self.put(person, session)
        return cookie

    async def session_of(self, token: str) -> str:
        """The cookie of a session that a token was exchanged for."""
        answer = await self.call(None, "POST", "/api/v1/session", {"token": token})
        assert answer.status == 200, answer
        return answer.cookie

    async def put(self, *rows: Row) -> None:
        """Write new rows unchecked."""
        account_id: str = getattr(rows[0], "account_id", "")
        request = Request(account_id, "test", NOW, None, b"")
        (outcome,) = await self.writer.submit([PutRows(request, rows)], 0)
        assert isinstance(outcome, Done), outcome

    async def call(
        self, token: str | None, method: str, target: str, body: Any = None, key: str | None = None
    ) -> Answered:
        """Send one request and return its answer."""
        address = urlsplit(target)
        headers = [] if token is None else _credentials(token)
        if key is not None:
            headers.append((b"idempotency-key", key.encode()))
        document = b"" if body is None else body if isinstance(body, bytes) else _encoded(body)
        scope = {
            "type": "http",
            "method": method,
            "path": address.path,
            "raw_path": address.path.encode(),
            "query_string": address.query.encode(),
            "headers": headers,
        }
        sent: list[Any] = []

        async def receive() -> Any:
            while sent and (b"content-type", NDJSON) in sent[0].get("headers", ()):
                if not sent[-1].get("more_body", True):
                    break
                await asyncio.sleep(0)
            if sent:
                # The caller disconnects, because a stream of events would not end.
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": document, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.api(scope, receive, send)
        text = b"".join(message.get("body", b"") for message in sent[1:]).decode()
        if (b"content-type", NDJSON) in sent[0]["headers"]:
            lines = [json.loads(line) for line in text.splitlines()]
            text = json.dumps({"status": "success", "lines": lines})
        if (b"content-type", b"text/event-stream") in sent[0]["headers"]:
            # An id is a position, which depends on other requests.
            text = json.dumps(
                {
                    "status": "success",
                    "events": re.findall("^(?:event|data): .*", text, re.MULTILINE),
                }
            )
        set_cookie = dict(sent[0]["headers"]).get(b"set-cookie", b"").decode()
        cookie = set_cookie.partition(";")[0].partition("=")[2]
        return Answered(sent[0]["status"], text, cookie)


def _credentials(token: str) -> list[tuple[bytes, bytes]]:
    """The headers of a caller with a token, or with the cookie of a session as pages send it."""
    if token.startswith(PREFIX):
        cookie = f"prefactor_session={token}".encode()
        return [(b"cookie", cookie), (b"x-prefactor-request", b"1")]
    return [(b"authorization", f"Bearer {token}".encode())]


def _encoded(body: Any) -> bytes:
    return json.dumps(body).encode()
