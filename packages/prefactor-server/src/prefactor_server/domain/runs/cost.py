"""Cost: the price of the tokens of a run's spans, from the operator's price table.

Only the operator's prices are used. A span whose model has no price, or that reports only a total
of tokens, is counted as unpriced, and its cost is never estimated.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from typing import Final, NamedTuple

_MILLION: Final = Decimal(1_000_000)
_DIGITS: Final = 9
_MODELS: Final = 1024
"""How many models keep their price in memory, because agents may name any number of them."""


class Price(NamedTuple):
    """The price of a million tokens. ``model`` is a name in which ``*`` and ``?`` are wildcards."""

    model: str
    prompt: Decimal
    completion: Decimal


@dataclass(frozen=True)
class PriceTable:
    """Prices in one currency. The first pattern that matches a model applies.

    ``file`` is the name of the file that they were read from.
    """

    currency: str | None = None
    prices: tuple[Price, ...] = ()
    file: str = ""

    @cached_property
    def revision(self) -> int:
        """A number that identifies the content of the table."""
        text = repr((self.currency, self.prices))
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest())

    @cached_property
    def price_of(self) -> Callable[[str | None], Price | None]:
        """Return the price of a model, ignoring case."""
        return lru_cache(_MODELS)(self._price_of)

    def _price_of(self, model: str | None) -> Price | None:
        if model is None:
            return None
        name = model.lower()
        return next((one for one in self.prices if fnmatchcase(name, one.model.lower())), None)


class TokenUse(NamedTuple):
    """The tokens of spans with one model.

    ``counted_spans`` of them report tokens, ``split_spans`` by input and output.
    """

    model: str | None
    spans: int
    counted_spans: int
    split_spans: int
    prompt_tokens: int
    completion_tokens: int


class ModelCost(NamedTuple):
    """The cost of one model, in total and by input and output; None if the model has no price."""

    model: str | None
    spans: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    input_cost: float | None
    output_cost: float | None


class Cost(NamedTuple):
    """The cost of a run. The sums are None if there were tokens but no price."""

    total_cost: float | None
    input_cost: float | None
    output_cost: float | None
    currency: str | None
    by_model: tuple[ModelCost, ...]
    unpriced_spans: int


NO_PRICES: Final = PriceTable()


class SpanPricer:
    """Prices single spans from a table, looking up each model once."""

    def __init__(self, table: PriceTable) -> None:
        self._table = table
        self._rates: dict[str | None, tuple[float, float] | None] = {}

    def cost(
        self, model: str | None, prompt_tokens: int | None, completion_tokens: int | None
    ) -> float | None:
        """Return the cost of a span; None without a price, or without input and output tokens."""
        if prompt_tokens is None and completion_tokens is None:
            return None
        if model not in self._rates:
            self._rates[model] = self._rate(model)
        rates = self._rates[model]
        if rates is None:
            return None
        prompt, completion = rates
        return round((prompt_tokens or 0) * prompt + (completion_tokens or 0) * completion, _DIGITS)

    def _rate(self, model: str | None) -> tuple[float, float] | None:
        price = self._table.price_of(model)
        return (
            None
            if price is None
            else (
                float(price.prompt / _MILLION),
                float(price.completion / _MILLION),
            )
        )


def cost_of(uses: Iterable[TokenUse], table: PriceTable) -> Cost:
    """Return the cost of tokens by model. Spans that report no tokens cost nothing."""
    models: list[ModelCost] = []
    total, priced, unpriced = _ZERO, 0, 0
    for use in sorted(_by_model(uses), key=lambda one: (one.model is None, one.model or "")):
        price = table.price_of(use.model)
        amount = None if price is None or not use.split_spans else _amount(use, price)
        if amount is not None:
            total = _Amount(total.input + amount.input, total.output + amount.output)
            priced += use.split_spans
        unpriced += use.counted_spans - (use.split_spans if amount is not None else 0)
        tokens = (use.prompt_tokens, use.completion_tokens)
        models.append(ModelCost(use.model, use.spans, *tokens, *_rounded(amount)))
    sums = _rounded(total if priced or not unpriced else None)
    return Cost(*sums, table.currency, tuple(models), unpriced)


def price_of_tokens(use: TokenUse, price: Price) -> float:
    """Return the cost of tokens at a price. Spans that report only a total add nothing."""
    amount = _amount(use, price)
    return round(float(amount.input + amount.output), _DIGITS)


class _Amount(NamedTuple):
    """The cost of input and output."""

    input: Decimal
    output: Decimal


_ZERO: Final = _Amount(Decimal(0), Decimal(0))


def _amount(use: TokenUse, price: Price) -> _Amount:
    return _Amount(
        use.prompt_tokens * price.prompt / _MILLION,
        use.completion_tokens * price.completion / _MILLION,
    )


def _rounded(amount: _Amount | None) -> tuple[float | None, float | None, float | None]:
    """Return the total, the input and the output of an amount."""
    if amount is None:
        return None, None, None
    parts = (amount.input + amount.output, amount.input, amount.output)
    total, input_cost, output_cost = (round(float(part), _DIGITS) for part in parts)
    return total, input_cost, output_cost


def _by_model(uses: Iterable[TokenUse]) -> Iterable[TokenUse]:
    merged: dict[str | None, TokenUse] = {}
    for use in uses:
        if use.counted_spans:
            so_far = merged.get(use.model)
            merged[use.model] = use if so_far is None else _sum(so_far, use)
    return merged.values()


def _sum(one: TokenUse, other: TokenUse) -> TokenUse:
    return TokenUse(
        one.model,
        one.spans + other.spans,
        one.counted_spans + other.counted_spans,
        one.split_spans + other.split_spans,
        one.prompt_tokens + other.prompt_tokens,
        one.completion_tokens + other.completion_tokens,
    )
