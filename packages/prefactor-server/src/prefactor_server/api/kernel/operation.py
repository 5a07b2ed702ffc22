"""Operations: one declaration per endpoint, from which the server derives everything else.

These are routing, bulk items, scope checks, the scope of idempotency keys and the OpenAPI document.

Three kinds may be bulk items:

* ``Read`` returns its answer.
* ``Write`` turns its request into a command, which the writer executes.
* ``PureOperation`` computes its answer from its body and stores nothing.

The others may not:

* ``Streamed`` is a read with a large response.
* ``Downloaded`` is a read that is produced while it is sent.
* ``Live`` is a stream that does not end.
* ``Redirecting`` is a redirect that a browser follows.
* ``RawOperation`` parses its own body.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec

from prefactor_server.api.asgi.client_connection import ClientConnection
from prefactor_server.api.asgi.download import Download
from prefactor_server.api.events.hub import Subscription
from prefactor_server.api.kernel.services import Services
from prefactor_server.api.kernel.span_preparation import PendingWrites
from prefactor_server.api.kernel.work import Work
from prefactor_server.commands.base import Command, Done, Request
from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.errors import NotFound, NotPermitted, Refusal
from prefactor_server.domain.ids import is_client_id
from prefactor_server.domain.people.role import RIGHTS, Right, roles_with
from prefactor_server.http.memory_budget import Lease

Access: TypeAlias = Literal["public", "any", "account"]
"""Who may call: anyone, any authenticated caller, or callers who can see the whole account.

A deployment token may call operations for any caller. Other callers need the operation's right.
"""


SMALL_BODY: Final = 256 * 1024
"""The body limit of operations without payloads, schemas or nested requests, in bytes."""

TOKEN_BODY: Final = 1024
"""The body limit of unauthenticated requests, in bytes: enough for a token."""


LIST_COST: Final = 10
"""The cost of a page of a list."""

COSTLY: Final = 100
"""The cost from which a read waits for its turn: some hundredths of a second or more."""

_NO_QUERY: Final[Mapping[str, str]] = MappingProxyType({})


class Parameter(NamedTuple):
    """One query parameter. With ``keyed``, it is sent once per key, as ``name[key]=text``.

    ``cost`` is what it adds to the cost of a read that has it.
    """

    name: str
    description: str
    required: bool = False
    schema: Mapping[str, Any] = {"type": "string"}
    keyed: bool = False
    cost: int = 0


class Call(msgspec.Struct, kw_only=True):
    """One request, or one item of a bulk request, while its operation runs."""

    services: Services
    principal: Principal
    now: int
    memory: Lease
    path_id: str = ""
    host: str = ""
    content_type: bytes = b""
    client: ClientConnection | None = None
    response_headers: tuple[tuple[bytes, bytes], ...] = ()
    query: Mapping[str, str] = _NO_QUERY
    pending: PendingWrites = msgspec.field(default_factory=PendingWrites)
    work: Work = msgspec.field(default_factory=Work)
    key: str | None = None
    fingerprint: bytes = b""
    is_item: bool = False
    prefers_minimal: bool = False

    def request(self) -> Request:
        """Return the facts about the request that a command needs."""
        principal = self.principal
        return Request(
            principal.account_id,
            principal.actor,
            self.now,
            self.key,
            self.fingerprint,
            principal.agent_deployment_id,
        )

    def new_id(self) -> str:
        """Return a new id in the partition of the caller's account."""
        return self.services.ids.make(self.principal.partition)

    def new_run_id(self) -> str:
        """Return a new id for a run, in a partition of its own."""
        return self.services.ids.make_run_id()

    def new_id_in_run(self, run_id: str) -> str:
        """Return a new id for something in a run, in the partition of the run."""
        return self.services.ids.make_in_run(run_id, self.principal.partition)

    def for_item(self, key: str) -> Call:
        """Return a separate call for an item of this request."""
        # An item gets its own query and pending writes when it is read or prepared. Sharing these
        # until then saves two allocations.
        return Call(
            services=self.services,
            principal=self.principal,
            now=self.now,
            memory=self.memory,
            host=self.host,
            query=self.query,
            pending=self.pending,
            work=self.work,
            key=key,
            is_item=True,
            prefers_minimal=self.prefers_minimal,
        )


class Prepared(msgspec.Struct, frozen=True):
    """A command, and how to build the reply once it has taken effect.

    Without ``reply``, the operation shows the current state of the resource. ``held_bytes`` is
    roughly what the command holds until its commit, beyond what the request contains.
    """

    command: Command
    reply: Callable[[Done], msgspec.Struct] | None = None
    held_bytes: int = 0


class Example(NamedTuple):
    """An example request for the documentation."""

    summary: str
    request: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """The base of all operations.

    ``name`` is the plural noun and the verb. ``path`` may contain one parameter in braces; a bulk
    item has it as a field of the same name. ``max_body_bytes`` of None means the server's limit.
    ``right`` is the right that the caller's role needs. Only public operations have none. ``cost``
    is what a read costs, where looking up one row costs 1.
    """

    name: str
    method: str
    path: str
    summary: str
    reply: type[Any]
    description: str = ""
    access: Access = "any"
    right: Right | None = None
    refusals: tuple[type[Refusal], ...] = ()
    max_body_bytes: int | None = SMALL_BODY
    cost: int = 1

    def __post_init__(self) -> None:
        """Reject a declaration without a right, or a public one with a right."""
        if (self.right is None) != (self.access == "public"):
            raise TypeError(
                f"operation {self.name}: declare right='read', 'operate' or 'administer'"
                " (none if access='public')"
            )

    @property
    def item_type(self) -> str:
        """The ``_type`` of a bulk item of this operation."""
        return self.name.replace(".", "/")

    @property
    def is_control_plane(self) -> bool:
        """Whether it administers the account, so that unknown fields must be rejected."""
        return self.access == "account"

    @property
    def may_read_standby(self) -> bool:
        """Whether a standby may answer callers that send their position.

        Anything that administers or decides something is read from the primary.
        """
        return self.right == "read" and isinstance(self, Read | Streamed | Downloaded)

    @property
    def path_parameter(self) -> str | None:
        """The name of the parameter in the path, or None."""
        return _parameter(self.path)

    @property
    def shown(self) -> object:
        """The type of ``details`` in the reply, or None if it has none."""
        fields = msgspec.structs.fields(self.reply)
        return next((one.type for one in fields if one.encode_name == "details"), None)

    def check_id(self, path_id: str) -> None:
        """Reject a path id that cannot exist.

        Raises:
            NotFound: it is malformed.
        """
        # The path may contain an agent's external identifier, which is any text.
        may_be_external = self.path_parameter == "agent_id" and path_id and "\0" not in path_id
        if not may_be_external and not is_client_id(path_id):
            raise NotFound(f"{path_id!r} is not a valid id")

    def check_access(self, principal: Principal) -> None:
        """Reject a caller whose scope or role does not allow the operation.

        Raises:
            NotPermitted: the message names the right, and the scope or the roles that have it.
        """
        right = self.right
        if right is None:
            return
        if principal.scope != "account":
            if self.access == "account":
                raise NotPermitted(
                    f"{self.name} needs the right {right} and a token of scope account; "
                    f"this one has scope {principal.scope}"
                )
        elif right not in RIGHTS[principal.role]:
            raise NotPermitted(
                f"{self.name} needs the right {right}, which these roles have: "
                f"{', '.join(roles_with(right))}; yours is {principal.role}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Read(Operation):
    """An operation that changes nothing."""

    parameters: tuple[Parameter, ...] = ()
    answer: Callable[[Call], Awaitable[msgspec.Struct]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed(Operation):
    """A read whose response is too large to be sent in one piece.

    ``answer`` reserves memory for what it reads, and returns the pieces of its JSON. They are
    produced in a thread, and compressed if the caller accepts that.
    """

    parameters: tuple[Parameter, ...] = ()
    answer: Callable[[Call], Awaitable[Iterator[bytes]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloaded(Operation):
    """A read of any size, produced while it is sent.

    ``content`` lists its possible media types. An error during the transfer can only truncate the
    body, so the body ends with a mark that it is complete.
    """

    parameters: tuple[Parameter, ...] = ()
    content: tuple[str, ...]
    answer: Callable[[Call], Awaitable[Download]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirecting(Operation):
    """A URL that a browser is redirected to, and that redirects it again.

    ``answer`` parses the query itself, because the provider adds parameters, and returns the URL to
    redirect to.
    """

    parameters: tuple[Parameter, ...] = ()
    answer: Callable[[Call, bytes], Awaitable[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Live(Operation):
    """A stream of server-sent events, which stays open.

    ``open`` subscribes the caller, from the ``Last-Event-ID`` of its request or from now. ``reply``
    is the type of the data of its events.
    """

    parameters: tuple[Parameter, ...] = ()
    open: Callable[[Call, str | None], Awaitable[Subscription]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Write(Operation):
    """An operation that changes something, once per idempotency key.

    ``wrapped`` means that its fields are nested under ``details``. ``legacy_fields`` are
    accepted from older clients and ignored. ``prepare`` receives the decoded ``body``. Before that,
    ``prefetch`` receives several calls at once, to replace their single reads by one. ``show``
    answers a repeated request with the current state of the resource that the first one created or
    changed.
    """

    body: type[msgspec.Struct]
    wrapped: bool = False
    prepare: Callable[[Call, Any], Awaitable[Prepared]]
    prefetch: Callable[[Sequence[Call]], Awaitable[None]] | None = None
    show: Callable[[Call, str], Awaitable[msgspec.Struct]]
    legacy_fields: frozenset[str] = frozenset()
    examples: tuple[Example, ...] = ()


class Encoded(NamedTuple):
    """The encoded answer of a ``RawOperation``."""

    content_type: bytes
    body: bytes


class WireError(NamedTuple):
    """An error on its way to the client: HTTP status, body and headers."""

    status: int
    body: dict[str, Any]
    headers: list[tuple[bytes, bytes]]


ErrorEncoder: TypeAlias = Callable[[WireError, bytes], tuple[WireError, Encoded]]
"""Encodes an error in another form than the API's, given the Content-Type of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawOperation(Operation):
    """An operation that reads its own raw body. Only a ``PureOperation`` may be a bulk item.

    ``answer`` may return a ``Download``, which is sent as a whole if it is small.
    With ``takes_zstd``, its body may be compressed with zstd as well as with gzip. With
    ``takes_prefer``, it supports the header ``Prefer: return=minimal``. ``encode_error`` encodes
    its errors, of the type ``error``, if its protocol requires another form than the API's.
    """

    takes_zstd: bool = False
    takes_prefer: bool = False
    encode_error: ErrorEncoder | None = None
    error: type[Any] | None = None
    body: type[msgspec.Struct] | None = None
    answer: Callable[[Call, bytes], Awaitable[Any]]
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PureOperation(RawOperation):
    """An operation that computes its answer from its body and stores nothing."""


@cache
def _parameter(path: str) -> str | None:
    _, brace, rest = path.partition("{")
    return rest.partition("}")[0] if brace else None
