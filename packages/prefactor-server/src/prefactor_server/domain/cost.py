"""Cost: what the tokens of a run's spans come to, by a price table that the operator keeps.

There are no prices but the operator's. A span whose model has no price, or that tells only the sum
of its tokens, is counted as unpriced and never guessed at.
"""

from __future__ import annotations

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
    """Prices in one currency; the first whose pattern fits a model is the model's."""

    currency: str | None = None
    prices: tuple[Price, ...] = ()

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
    """What one model cost; ``cost`` is None when it has no price."""

    model: str | None
    spans: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None


class Cost(NamedTuple):
    """What a run cost. ``total_cost`` is None when there was something to price and no price."""

    total_cost: float | None
    currency: str | None
    by_model: tuple[ModelCost, ...]
    unpriced_spans: int


NO_PRICES: Final = PriceTable()


def cost_of(uses: Iterable[TokenUse], table: PriceTable) -> Cost:
    """What tokens cost, model by model; spans that say nothing of tokens cost nothing."""
    models: list[ModelCost] = []
    total, priced, unpriced = Decimal(0), 0, 0
    for use in sorted(_by_model(uses), key=lambda one: (one.model is None, one.model or "")):
        price = table.price_of(use.model)
        amount = None if price is None or not use.split_spans else _amount(use, price)
        if amount is not None:
            total += amount
            priced += use.split_spans
        unpriced += use.counted_spans - (use.split_spans if amount is not None else 0)
        shown = None if amount is None else round(float(amount), _DIGITS)
        models.append(
            ModelCost(use.model, use.spans, use.prompt_tokens, use.completion_tokens, shown)
        )
    known = priced or not unpriced
    whole = round(float(total), _DIGITS) if known else None
    return Cost(whole, table.currency, tuple(models), unpriced)


def _amount(use: TokenUse, price: Price) -> Decimal:
    return (use.prompt_tokens * price.prompt + use.completion_tokens * price.completion) / _PER


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
