"""Renders untrusted Liquid templates into the one-line summaries of spans.

A template runs on every write of a span of its type. It may show values, branch and loop. Its cost
is bounded before parsing, during rendering, and by the size of its output.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from liquid import BoundTemplate
from liquid.exceptions import LiquidError, LiquidInterrupt, ResourceLimitError

from prefactor_server.validation.budget import Budget
from prefactor_server.validation.cache import ContentCache
from prefactor_server.validation.liquid.environment import (
    MAX_OUTPUT,
    MIN_RENDER_STEPS,
    RENDER_STEPS,
    OutputFull,
    SummaryContext,
    SummaryEnvironment,
    SummaryOutput,
)
from prefactor_server.validation.liquid.fast_path import FastTemplate, NeedsLibrary, fast_template
from prefactor_server.validation.liquid.filters import FILTERS
from prefactor_server.validation.liquid.sandbox import RenderBudget

MAX_TEMPLATE: Final = 8 * 1024
"""The most characters of a template."""

MAX_TAGS: Final = 200
"""The most tags and outputs of a template."""

MAX_SUMMARY: Final = 1_000
"""The most characters of a summary, including the ellipsis of a shortened one."""

_MAX_BLANKS: Final = 100
_MAX_MESSAGE: Final = 300
_MAX_CACHED: Final = 500_000
_CACHE_OVERHEAD: Final = 100

_STEPS_PER_CHARACTER: Final = 10

_MAX_FAST_STEPS: Final = 20_000

_BLANKS: Final = re.compile(rf"\s{{{_MAX_BLANKS + 1}}}")
# Control characters, lone surrogates (no database stores them) and reversals of text direction.
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template."""

    source: str
    parsed: BoundTemplate = field(repr=False)
    """The template library's own form, for `render_summary` only."""

    fast: FastTemplate | None = field(default=None, repr=False)
    """The fast path, for a template that has one."""


@dataclass(frozen=True, slots=True)
class TemplateProblem:
    """The reason why a template cannot be rendered, for its author."""

    message: str


_TOO_MUCH_FOR_A_REQUEST: Final = TemplateProblem(
    "Parsing it takes more work than one request may do; a later request may parse it"
)


class TemplateCache:
    """Parses templates, each distinct one only once."""

    def __init__(self, max_weight: int = _MAX_CACHED) -> None:
        self._environment = SummaryEnvironment()
        self._cache: ContentCache[Template | TemplateProblem] = ContentCache(max_weight)

    def compile(self, source: str, budget: Budget | None = None) -> Template | TemplateProblem:
        """Parse a template, or return the earlier result for the same text. Never raises.

        If the budget has too few steps left, this request's spans have no summary.
        """
        cached = self._cache.get(source)
        if cached is not None:
            return cached
        problem = _problem_before_parsing(source)
        if problem is not None:
            return TemplateProblem(problem)
        if budget is not None and not budget.take(50 + _STEPS_PER_CHARACTER * len(source)):
            return _TOO_MUCH_FOR_A_REQUEST
        return self._cache.put(source, len(source) + _CACHE_OVERHEAD, self._parse(source))

    def is_cached(self, source: str) -> bool:
        """Return whether parsing a template would cost nothing."""
        return len(source) > MAX_TEMPLATE or self._cache.get(source) is not None

    def _parse(self, source: str) -> Template | TemplateProblem:
        try:
            parsed = self._environment.from_string(source)
            used = parsed.analyze(include_partials=False).filters
        except LiquidError as error:
            message = " ".join(str(error.message).split())
            return TemplateProblem(f"The template is not valid: {message}"[:_MAX_MESSAGE])
        except RecursionError:
            return TemplateProblem("The template is nested too deeply")
        unknown = sorted(used.keys() - FILTERS.keys())
        if unknown:
            known = ", ".join(sorted(FILTERS))
            return TemplateProblem(f"The filter {unknown[0][:40]!r} is unknown: use one of {known}")
        return Template(source, parsed, fast_template(parsed, _MAX_FAST_STEPS))


def render_summary(
    template: Template,
    payload: Mapping[str, object],
    result_payload: Mapping[str, object] | None = None,
    budget: Budget | None = None,
) -> str | None:
    """Render a one-line summary, or return None if a limit of the template language was reached.

    The template can use the fields of the result and of the payload; a field of the result hides
    one of the payload. Missing values, null, objects and arrays are empty, and so is any part of
    the template that fails. The steps are taken from the request's budget, and the render ends when
    it runs out. Never raises, and never changes a payload.
    """
    budget = budget or Budget()
    payloads = (result_payload, payload) if result_payload else (payload,)
    if template.fast is not None and budget.take(template.fast.steps):
        try:
            text = template.fast.text(payloads, MAX_OUTPUT)
        except NeedsLibrary:
            pass
        else:
            return _one_line(text[:MAX_OUTPUT], is_cut=len(text) > MAX_OUTPUT)
    return _by_library(template, payloads, budget)


def _by_library(
    template: Template, payloads: tuple[Mapping[str, object], ...], budget: Budget
) -> str | None:
    if not budget.take(MIN_RENDER_STEPS):
        return None
    output, render_budget = SummaryOutput(), RenderBudget(min(RENDER_STEPS, budget.left))
    try:
        context = SummaryContext(template.parsed, payloads, render_budget)
        is_cut = _render(template.parsed, context, output)
    except Exception:  # noqa: BLE001 - no template may keep a span from being stored
        if render_budget.steps < RENDER_STEPS:
            budget.exceeded = True
        return None
    finally:
        budget.charge(render_budget.steps - max(render_budget.left, 0))
    return _one_line(output.getvalue(), is_cut=is_cut)


def _render(parsed: BoundTemplate, context: SummaryContext, output: SummaryOutput) -> bool:
    """Render the parts in order. Return True if the output was full before the end."""
    for node in parsed.nodes:
        try:
            node.render(context, output)
        except OutputFull:
            return True
        except LiquidInterrupt:
            break
        except ResourceLimitError:
            raise
        except LiquidError:
            continue
    return False


def _one_line(text: str, *, is_cut: bool) -> str:
    line = " ".join(text.split())
    if not line.isprintable():
        line = _UNPRINTABLE.sub("", line)
    if len(line) > MAX_SUMMARY or is_cut:
        line = line[: MAX_SUMMARY - 1].rstrip() + "…"
    return line


def _problem_before_parsing(source: str) -> str | None:
    """Return why a template must not be parsed, or None.

    The parser's patterns take quadratic or cubic time on tags that are never closed.
    """
    if len(source) > MAX_TEMPLATE:
        return f"The template is longer than {MAX_TEMPLATE} characters"
    if source.count("{{") + source.count("{%") > MAX_TAGS:
        return f"The template has more than {MAX_TAGS} tags"
    if source.rfind("{{") > source.rfind("}}") or source.rfind("{%") > source.rfind("%}"):
        return "The template has a tag that is never closed"
    if _BLANKS.search(source):
        return f"The template has more than {_MAX_BLANKS} blanks in a row"
    return None
