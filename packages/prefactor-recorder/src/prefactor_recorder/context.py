"""Which run or span the code that is running now is inside of."""

from __future__ import annotations

from abc import abstractmethod
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

    from prefactor_recorder.run import Run
    from prefactor_recorder.span import Span

# One variable, not two: a run and its spans are entered and left in one order.
_innermost: ContextVar[Run | Span | None] = ContextVar("prefactor_innermost", default=None)

Entered = Token["Run | Span | None"]

innermost = _innermost.get
enter = _innermost.set


def leave(entered: Entered) -> None:
    """Go back to what was current before `enter`.

    A generator may be closed in another context than it was started in; there is nothing to
    restore there.
    """
    try:
        _innermost.reset(entered)
    except ValueError:
        return


class Block:
    """What is entered by `with` can be entered by `async with`: nothing is awaited in either."""

    __slots__ = ()

    @abstractmethod
    def __enter__(self) -> Self: ...

    @abstractmethod
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, trace)
