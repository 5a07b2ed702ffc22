"""The template library, restricted to what untrusted templates may use.

The library limits nesting, loops and variables. This module limits the rest: only listed tags and
names exist, every lookup and filter takes its cost from a budget, and outputs have a maximum size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from io import StringIO
from typing import Any, Final, TextIO

from liquid import BoundTemplate, Environment, RenderContext
from liquid.ast import BlockNode
from liquid.builtin import content, illegal, output
from liquid.builtin.expressions import LoopExpression
from liquid.builtin.tags import (
    assign_tag,
    capture_tag,
    case_tag,
    comment_tag,
    echo_tag,
    for_tag,
    if_tag,
    inline_comment_tag,
    unless_tag,
)
from liquid.token import Token
from liquid.undefined import UNDEFINED
from liquid.utils import ReadOnlyChainMap

from prefactor_server.validation.liquid.filters import FILTERS, apply_filter
from prefactor_server.validation.liquid.sandbox import (
    MAX_TEXT,
    LimitReached,
    RenderBudget,
    length_of,
    sanitize,
    to_text,
)

MAX_OUTPUT: Final = 2_000
"""The most characters that a template may write. The rest is cut off."""

MAX_LOOP: Final = 200
"""The most iterations of a loop, multiplied by those of its inner loops."""

RENDER_STEPS: Final = 30_000
"""The work that one render may do; see `budget` for the size of a step."""

MIN_RENDER_STEPS: Final = 30
"""The minimum cost of a render, for any template."""

_STEPS_PER_LOOKUP: Final = 5
_CHARACTERS_PER_STEP: Final = 2

_MAX_NAMESPACE: Final = 16_000


class OutputFull(Exception):
    """The output is full, and further text would be cut off."""


class SummaryOutput(StringIO):
    """The output buffer of a template."""

    def __init__(self) -> None:
        super().__init__()
        self._left = MAX_OUTPUT

    def write(self, text: str, /) -> int:
        """Write as much as fits.

        Raises:
            OutputFull: some of it did not fit.
        """
        super().write(text[: self._left])
        if len(text) > self._left:
            raise OutputFull
        self._left -= len(text)
        return len(text)


class CaptureBuffer(StringIO):
    """The buffer of a `capture`, limited like any other text."""

    def write(self, text: str, /) -> int:
        """Write as much as fits."""
        return super().write(text[: max(MAX_TEXT - self.tell(), 0)])


class PayloadScope(Mapping[str, object]):
    """The initial names of a template: the fields of the result, and then of the payload."""

    def __init__(self, payloads: tuple[Mapping[str, object], ...], budget: RenderBudget) -> None:
        self._payloads = [payload for payload in payloads if "$sensitive" not in payload]
        self._budget = budget

    def __getitem__(self, name: str) -> object:
        for payload in self._payloads:
            if name in payload:
                return sanitize(payload[name], self._budget)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class SummaryContext(RenderContext):
    """One render: its names, and the budget that every step takes its cost from."""

    __slots__ = ("budget",)

    def __init__(
        self,
        template: BoundTemplate,
        payloads: tuple[Mapping[str, object], ...],
        budget: RenderBudget,
    ) -> None:
        super().__init__(template)
        self.budget = budget
        # Without the library's own names, because `now` and `today` would read the server's clock.
        self.scope = ReadOnlyChainMap(self.locals, PayloadScope(payloads, self.budget))

    def get(
        self, path: list[object], *, token: Token | None, default: object = UNDEFINED
    ) -> object:
        """Look up a path."""
        self.budget.spend(_STEPS_PER_LOOKUP + len(path))
        found = super().get(path, token=token, default=default)
        self.budget.spend_on(found)
        return found

    def filter(self, name: str, token: Token | None) -> Callable[..., object]:  # noqa: ARG002 - the library's signature
        """Return a filter that runs within the budget. Parsing has rejected unknown names."""
        return partial(apply_filter, self.budget, FILTERS[name])

    def assign(self, key: str, val: Any) -> None:
        """Set a variable."""
        self.locals[key] = val
        self.budget.spend_on(val)
        self.budget.spend(len(self.locals))
        if sum(map(length_of, self.locals.values())) > _MAX_NAMESPACE:
            raise LimitReached("the template stores too much in variables")

    def get_buffer(self, buf: TextIO | None = None) -> StringIO:  # noqa: ARG002 - the library's signature
        """Return the buffer for a `capture`."""
        return CaptureBuffer()


class _BoundedLoop(LoopExpression):
    """A loop with a limited number of items, checked before reversing copies them."""

    def _to_iter(self, obj: object, context: RenderContext) -> tuple[Iterator[Any], int]:
        if isinstance(obj, range) and len(obj) > MAX_LOOP:
            raise LimitReached("a loop is too long")
        return super()._to_iter(obj, context)


class _LoopBody(BlockNode):
    """The body of a loop. Each iteration costs steps in proportion to the length of its source."""

    __slots__ = ("_steps",)

    def __init__(self, block: BlockNode) -> None:
        super().__init__(block.token, block.nodes)
        self._steps = _STEPS_PER_LOOKUP + len(str(block)) // _CHARACTERS_PER_STEP

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        """Render one iteration."""
        if not isinstance(context, SummaryContext):
            raise TypeError(context)
        context.budget.spend(self._steps)
        return super().render_to_output(context, buffer)


class _ForNode(for_tag.ForNode):
    def __init__(
        self,
        token: Token,
        expression: LoopExpression,
        block: BlockNode,
        default: BlockNode | None = None,
    ) -> None:
        loop = _BoundedLoop(
            expression.token,
            expression.identifier,
            expression.iterable,
            limit=expression.limit,
            offset=expression.offset,
            reversed_=expression.reversed,
            cols=expression.cols,
        )
        super().__init__(token, loop, _LoopBody(block), default)


class _For(for_tag.ForTag):
    node_class = _ForNode


class _OutputNode(output.OutputNode):
    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        return buffer.write(to_text(self.expression.evaluate(context)))


class _Output(output.Output):
    node_class = _OutputNode


class _EchoNode(echo_tag.EchoNode):
    render_to_output = _OutputNode.render_to_output


class _Echo(echo_tag.EchoTag):
    node_class = _EchoNode


class SummaryEnvironment(Environment):
    """The language of summaries: values, conditions, loops, variables and harmless filters."""

    block_nesting_limit = 6
    context_depth_limit = 4
    loop_iteration_limit = MAX_LOOP

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:  # noqa: ARG002 - the library's signature
        """Add the listed tags and filters only."""
        for tag in (
            content.Literal,
            _Output,
            illegal.Illegal,
            assign_tag.AssignTag,
            for_tag.BreakTag,
            capture_tag.CaptureTag,
            case_tag.CaseTag,
            comment_tag.CommentTag,
            for_tag.ContinueTag,
            _Echo,
            _For,
            if_tag.IfTag,
            inline_comment_tag.InlineCommentTag,
            unless_tag.UnlessTag,
        ):
            self.add_tag(tag)
        self.filters.update(FILTERS)
