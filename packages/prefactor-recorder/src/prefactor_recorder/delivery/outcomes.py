"""What an answer means for what was sent: delivered, never, later, or not for the items to say.

an item's output                     meaning
success                              delivered
409 on a span's create               it is there: delivered, and its finish goes by itself
409 on a finish or a start           it is so already: delivered
409 on a run's register              ask for the run: there, delivered; not there, refused
404 in a run registered elsewhere    later: whoever registers it may be behind us
no permission                        later, and slowly: a token can be given it
the server's own trouble             later
a bad token                          delivery pauses
too large                            its payloads are cut to what the server takes
a registration that is refused       sent again without what was refused
any other refusal                    buried
absent                               not processed: the first failure ends a bulk request

a whole request                      meaning
no answer, 408, 425, 5xx, 409        later
429, 503 with Retry-After            later, when it says
413                                  smaller; one item by itself has its payloads cut
400, 422 in the words of the API     smaller, until one item is left to blame
anything else                        the address or the token is wrong: delivery pauses
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from prefactor_recorder.encoding.record import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prefactor_recorder.delivery.run_queue import Item


class Fate(enum.Enum):
    """What becomes of an item."""

    DELIVERED = enum.auto()
    STANDS = enum.auto()
    """The create is there; a finish that was merged into it is still to be sent."""
    BURY = enum.auto()
    RETRY = enum.auto()
    UNKNOWN_RUN = enum.auto()
    """The server does not know the run; final only if it was told of it before."""
    FORBIDDEN = enum.auto()
    """The token may not do this."""
    ASK = enum.auto()
    """Only the run itself can say."""
    PAUSE = enum.auto()
    """The token has stopped working."""
    ABSENT = enum.auto()


class Verdict(NamedTuple):
    """What becomes of an item, and what the server said if it refused it."""

    fate: Fate
    refusal: dict[str, Any] | None = None

    @property
    def message(self) -> str:
        """What the server said, for people."""
        return describe(self.refusal or {})


DELIVERED: Final = Verdict(Fate.DELIVERED)
ABSENT: Final = Verdict(Fate.ABSENT)

_FATES: Final = {
    "bad_authtoken": Fate.PAUSE,
    "not_authenticated": Fate.PAUSE,
    "not_permitted": Fate.FORBIDDEN,
    "not_found": Fate.UNKNOWN_RUN,
    "bad_request": Fate.BURY,
    "invalid_value": Fate.BURY,
    "not_implemented": Fate.BURY,
    "required_value": Fate.BURY,
    "unexpected_ref_type": Fate.BURY,
    "validation_errors": Fate.BURY,
}
"""By code. The server's own trouble, and the codes of servers to come, are tried again."""
_TOLD = ("code", "message", "errors", "limit", "limit_of")
_CONFLICTS = frozenset({"invalid_action", "idempotency_key_already_used"})


def judge_item(item: Item, output: Mapping[str, Any] | None) -> Verdict:
    """What the output of an item means; None is the output of an item that has none."""
    if output is None:
        return ABSENT
    if output.get("status") == "success":
        return DELIVERED
    code = output.get("code")
    refusal = {name: output[name] for name in _TOLD if name in output}
    if code in _CONFLICTS:
        return _judge_conflict(item, refusal)
    return Verdict(_FATES.get(str(code), Fate.RETRY), refusal)


def _judge_conflict(item: Item, refusal: dict[str, Any]) -> Verdict:
    match item.record.operation:
        case Operation.REGISTER:
            return Verdict(Fate.ASK, refusal)
        case Operation.CREATE_SPAN:
            return Verdict(Fate.STANDS, refusal)
        case _:
            return DELIVERED


class Whole(enum.Enum):
    """What becomes of a request that was refused or lost as a whole."""

    RETRY = enum.auto()
    SHRINK = enum.auto()
    """Fewer items; one by itself is to blame."""
    TOO_LARGE = enum.auto()
    """Fewer bytes; one by itself is too large."""
    PAUSE = enum.auto()


class Failure(NamedTuple):
    """Why a request failed as a whole."""

    message: str
    """What happened, for people; never with a body or a token in it."""
    status: int | None = None
    """The status of the answer, if there was one."""
    code: str | None = None
    """The code of the answer, if it was in the words of the API."""
    retry_after: float | None = None
    """Seconds that the server asked to wait."""
    sent: bool = True
    """Whether the server may have acted on it."""
    dropped: bool = False
    """Whether the connection was lost before the answer was whole."""
    limit: int | None = None
    """How much the server takes, if there was too much of something."""
    limit_of: str | None = None
    """Of what."""
    hopeless: bool = False
    """Whether it cannot be sent at all: the address or the token makes no request."""

    @property
    def summary(self) -> str:
        """What happened, for a log: nothing in it is the server's own text."""
        if self.status is None:
            return self.message
        return f"status {self.status}" + (f", {self.code}" if self.code else "")

    @property
    def refusal(self) -> dict[str, Any]:
        """What is written into a dead letter."""
        told = {"code": self.code or "unknown", "message": self.message, "status": self.status}
        return (
            told if self.limit is None else told | {"limit": self.limit, "limit_of": self.limit_of}
        )


_LATER = frozenset({408, 409, 425, 429})
_TOO_LARGE = 413
_UNREADABLE = frozenset({400, 422})
_SERVER_ERROR = 500
_ERROR = 400
_NOT_HERE = 501


def judge_failure(failure: Failure) -> Whole:
    """What becomes of a request that failed as a whole."""
    status = failure.status
    if failure.hopeless:
        return Whole.PAUSE
    if status is None or status < _ERROR or status in _LATER:
        # An answer below 400 that is no reply of a bulk request is a proxy's or was cut off.
        return Whole.RETRY
    if status >= _SERVER_ERROR and status != _NOT_HERE:
        return Whole.RETRY
    if status == _TOO_LARGE:
        return Whole.TOO_LARGE
    if status in _UNREADABLE and failure.code is not None:
        return Whole.SHRINK
    return Whole.PAUSE


def describe(refusal: Mapping[str, Any]) -> str:
    """A refusal in one line."""
    code, message = refusal.get("code"), refusal.get("message")
    return ": ".join(str(part) for part in (code, message) if part) or "no reason was given"
