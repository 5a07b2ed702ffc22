"""What a response means for the items of a request. Pure.

output of an item                    what happens
success                              delivered
409 for a span's create              already exists: delivered; its finish is sent separately
409 for a finish or a start          already done: delivered
409 for a run's registration         the run is looked up: delivered if it exists, else rejected
404 in a run registered elsewhere    retried: its registration may arrive later
missing permission                   retried slowly: the token may be granted it
server error, or malformed output     retried
bad token                            delivery pauses
too large                            payloads are truncated to the server's limit
rejected registration                sent again without the rejected members
any other error                      dead-lettered
no output                            not processed, because an earlier item failed: sent again

response to a request                what happens
none, 408, 409, 425, 5xx             retried
429, 503 with Retry-After            retried when the server says
413                                  smaller request; the payloads of a single item are truncated
400, 422 with an API error code      smaller request, until a single item is left to blame
anything else                        wrong URL or token: delivery pauses
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from prefactor_recorder.encoding.record import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prefactor_recorder.delivery.run_queue import Item


class Disposition(enum.Enum):
    """What to do with an item."""

    DELIVERED = enum.auto()
    ALREADY_EXISTS = enum.auto()
    """The span exists; a finish merged into the create must still be sent."""
    DEAD_LETTER = enum.auto()
    RETRY = enum.auto()
    UNKNOWN_RUN = enum.auto()
    """The server does not know the run; final only if the run was registered before."""
    FORBIDDEN = enum.auto()
    """The token lacks the permission."""
    LOOK_UP_RUN = enum.auto()
    """Look up the run to find out whether it was registered."""
    PAUSE = enum.auto()
    """The token is no longer valid."""
    NOT_PROCESSED = enum.auto()


class Outcome(NamedTuple):
    """What to do with an item, and the server's error if it rejected the item."""

    disposition: Disposition
    refusal: dict[str, Any] | None = None

    @property
    def message(self) -> str:
        """The server's error as text."""
        return describe(self.refusal or {})


DELIVERED: Final = Outcome(Disposition.DELIVERED)
NOT_PROCESSED: Final = Outcome(Disposition.NOT_PROCESSED)

_DISPOSITIONS: Final = {
    "bad_authtoken": Disposition.PAUSE,
    "not_authenticated": Disposition.PAUSE,
    "not_permitted": Disposition.FORBIDDEN,
    "not_found": Disposition.UNKNOWN_RUN,
    "bad_request": Disposition.DEAD_LETTER,
    "invalid_value": Disposition.DEAD_LETTER,
    "not_implemented": Disposition.DEAD_LETTER,
    "required_value": Disposition.DEAD_LETTER,
    "unexpected_ref_type": Disposition.DEAD_LETTER,
    "validation_errors": Disposition.DEAD_LETTER,
}
"""By error code. Server errors and unknown codes are retried."""
_REFUSAL_MEMBERS = ("code", "message", "errors", "limit", "limit_of")
_CONFLICTS = frozenset({"invalid_action", "idempotency_key_already_used"})


def item_outcome(item: Item, output: object) -> Outcome:
    """Return what an item's output means; None stands for a missing output.

    An output that is not an object is a fault of the server, which is retried like any other.
    """
    if output is None:
        return NOT_PROCESSED
    members = output_members(output)
    if members.get("status") == "success":
        return DELIVERED
    code = str(members.get("code"))
    refusal = {name: members[name] for name in _REFUSAL_MEMBERS if name in members}
    if code in _CONFLICTS:
        return _conflict_outcome(item, refusal)
    return Outcome(_DISPOSITIONS.get(code, Disposition.RETRY), refusal)


def output_members(output: object) -> dict[str, Any]:
    """Return the members of an item's output; none if it is not an object."""
    return cast("dict[str, Any]", output) if isinstance(output, dict) else {}


def _conflict_outcome(item: Item, refusal: dict[str, Any]) -> Outcome:
    match item.record.operation:
        case Operation.REGISTER:
            return Outcome(Disposition.LOOK_UP_RUN, refusal)
        case Operation.CREATE_SPAN:
            return Outcome(Disposition.ALREADY_EXISTS, refusal)
        case _:
            return DELIVERED


class RequestOutcome(enum.Enum):
    """What to do with a request that failed as a whole."""

    RETRY = enum.auto()
    SHRINK = enum.auto()
    """Send fewer items; a single item is to blame."""
    TOO_LARGE = enum.auto()
    """Send fewer bytes; a single item is too large."""
    PAUSE = enum.auto()


class Failure(NamedTuple):
    """Why a request failed as a whole."""

    message: str
    """What happened, as text; never contains a body or a token."""
    status: int | None = None
    """HTTP status, if there was a response."""
    code: str | None = None
    """API error code, if the response had one."""
    retry_after: float | None = None
    """Seconds to wait, if the server said so."""
    sent: bool = True
    """Whether the server may have processed the request."""
    dropped: bool = False
    """Whether the connection was lost before the response was complete."""
    limit: int | None = None
    """The server's limit, if the request exceeded one."""
    limit_of: str | None = None
    """What the limit applies to."""
    unsendable: bool = False
    """Whether the request cannot be sent at all: the URL or the token is invalid, the server's
    certificate is refused, or a proxy refuses the caller."""

    @property
    def summary(self) -> str:
        """What happened, without any text from the server, for the log."""
        if self.status is None:
            return self.message
        return f"status {self.status}" + (f", {self.code}" if self.code else "")

    @property
    def refusal(self) -> dict[str, Any]:
        """The error as written into a dead letter."""
        error = {"code": self.code or "unknown", "message": self.message, "status": self.status}
        if self.limit is None:
            return error
        return error | {"limit": self.limit, "limit_of": self.limit_of}


_RETRYABLE = frozenset({408, 409, 425, 429})
_TOO_LARGE = 413
_UNREADABLE = frozenset({400, 422})
_SERVER_ERROR = 500
_ERROR = 400
_NOT_IMPLEMENTED = 501


def request_outcome(failure: Failure) -> RequestOutcome:
    """Return what to do with a request that failed as a whole."""
    status = failure.status
    if failure.unsendable:
        return RequestOutcome.PAUSE
    if status is None or status < _ERROR or status in _RETRYABLE:
        # Below 400 without bulk outputs: the response of a proxy, or a truncated one.
        return RequestOutcome.RETRY
    if status >= _SERVER_ERROR and status != _NOT_IMPLEMENTED:
        return RequestOutcome.RETRY
    if status == _TOO_LARGE:
        return RequestOutcome.TOO_LARGE
    if status in _UNREADABLE and failure.code is not None:
        return RequestOutcome.SHRINK
    return RequestOutcome.PAUSE


def describe(refusal: Mapping[str, Any]) -> str:
    """Return an error as one line of text."""
    code, message = refusal.get("code"), refusal.get("message")
    return ": ".join(str(part) for part in (code, message) if part) or "no reason was given"
