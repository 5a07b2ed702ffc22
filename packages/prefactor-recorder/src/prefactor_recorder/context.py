"""The current run or span of the calling code, kept in a context variable."""

from __future__ import annotations

from abc import abstractmethod
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType


class Block:
    """A run or a span. `with` and `async with` do the same, because entering never awaits."""

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


# One variable for both, because runs and spans are nested in each other.
_innermost: ContextVar[Block | None] = ContextVar("prefactor_innermost", default=None)

Entered = Token["Block | None"]

innermost = _innermost.get
enter = _innermost.set


def leave(entered: Entered) -> None:
    """Restore what was current before `enter`.

    Does nothing in another context, such as the one a generator is closed in.
    """
    try:
        _innermost.reset(entered)
    except ValueError:
        return
