"""Cost: what the tokens of a run's spans come to, by a price table that the operator keeps.

There are no prices but the operator's. A span whose model has no price, or that tells only the sum
of its tokens, is counted as unpriced and never guessed at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

_PER: Final = Decimal(1_000_000)
_DIGITS: Final = 9


class Price(NamedTuple):
    """What a million tokens cost. ``model`` is a name; ``*`` and ``?`` stand for anything in it."""

    model: str
    prompt: Decimal
    completion: Decimal


class PriceTable(NamedTuple):
    """Prices in one currency; the first whose pattern fits a model is the model's.

    ``file`` is the name of the file that they come from.
    """

    currency: str | None = None
    prices: tuple[Price, ...] = ()
    file: str = ""

    @property
    def revision(self) -> int:
        """A number that another table would not have."""
        text = repr((self.currency, self.prices))
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest())

    def price_of(self, model: str | None) -> Price | None:
        """The price of a model, whatever case it is written in."""
        if model is None:
            return None
        name = model.lower()
        return next((one for one in self.prices if fnmatchcase(name, one.model.lower())), None)


class TokenUse(NamedTuple):
    """What spans with one model used: how many say anything, how many of those say it by part."""

    model: str | None
    spans: int
    counted_spans: int
    split_spans: int
    prompt_tokens: int
    completion_tokens: int


class ModelCost(NamedTuple):
    """What one model cost, in all and by what was paid for; None when it has no price."""

    model: str | None
    spans: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    input_cost: float | None
    output_cost: float | None


class Cost(NamedTuple):
    """What a run cost. The sums are None when there was something to price and no price."""

    total_cost: float | None
    input_cost: float | None
    output_cost: float | None
    currency: str | None
    by_model: tuple[ModelCost, ...]
    unpriced_spans: int


NO_PRICES: Final = PriceTable()


class SpanPricer:
    """Prices single spans by a table, and looks each model up once."""

    def __init__(self, table: PriceTable) -> None:
        self._table = table
        self._rates: dict[str | None, tuple[float, float] | None] = {}

    def cost(
        self, model: str | None, prompt_tokens: int | None, completion_tokens: int | None
    ) -> float | None:
        """Return what a span cost; None without a price, or without tokens by part."""
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
            None if price is None else (float(price.prompt / _PER), float(price.completion / _PER))
        )


def cost_of(uses: Iterable[TokenUse], table: PriceTable) -> Cost:
    """What tokens cost, model by model; spans that say nothing of tokens cost nothing."""
    models: list[ModelCost] = []
    total, priced, unpriced = _NOTHING, 0, 0
    for use in sorted(_by_model(uses), key=lambda one: (one.model is None, one.model or "")):
        price = table.price_of(use.model)
        amount = None if price is None or not use.split_spans else _amount(use, price)
        if amount is not None:
            total = _Amount(total.input + amount.input, total.output + amount.output)
            priced += use.split_spans
        unpriced += use.counted_spans - (use.split_spans if amount is not None else 0)
        tokens = (use.prompt_tokens, use.completion_tokens)
        models.append(ModelCost(use.model, use.spans, *tokens, *_shown(amount)))
    sums = _shown(total if priced or not unpriced else None)
    return Cost(*sums, table.currency, tuple(models), unpriced)


def price_of_tokens(use: TokenUse, price: Price) -> float:
    """Return what tokens cost at a price; spans that tell only a total cost nothing here."""
    amount = _amount(use, price)
    return round(float(amount.input + amount.output), _DIGITS)


class _Amount(NamedTuple):
    """What was paid for what went in, and for what came out."""

    input: Decimal
    output: Decimal


_NOTHING: Final = _Amount(Decimal(0), Decimal(0))


def _amount(use: TokenUse, price: Price) -> _Amount:
    return _Amount(
        use.prompt_tokens * price.prompt / _PER, use.completion_tokens * price.completion / _PER
    )


def _shown(amount: _Amount | None) -> tuple[float | None, float | None, float | None]:
    """Return an amount in all, for what went in and for what came out."""
    if amount is None:
        return None, None, None
    parts = (amount.input + amount.output, amount.input, amount.output)
    total, given, received = (round(float(part), _DIGITS) for part in parts)
    return total, given, received


def _by_model(uses: Iterable[TokenUse]) -> Iterable[TokenUse]:
    merged: dict[str | None, TokenUse] = {}
    for use in uses:
        if use.counted_spans:
            so_far = merged.get(use.model)
            merged[use.model] = use if so_far is None else _together(so_far, use)
    return merged.values()


def _together(one: TokenUse, other: TokenUse) -> TokenUse:
    return TokenUse(
        one.model,
        one.spans + other.spans,
        one.counted_spans + other.counted_spans,
        one.split_spans + other.split_spans,
        one.prompt_tokens + other.prompt_tokens,
        one.completion_tokens + other.completion_tokens,
    )
