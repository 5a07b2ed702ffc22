"""Prices: what tokens cost, by the server's price file."""

from __future__ import annotations

from typing import Literal

from prefactor_http.models.base import ReplyModel


class Price(ReplyModel):
    """What a million tokens cost."""

    model: str
    """The name of a model, in which `*` and `?` stand for more."""
    prompt: float
    completion: float


class ModelPrice(ReplyModel):
    """A model that was asked for, and the price that is in force for it."""

    model: str
    price: Price | None = None
    """None if no price fits."""


class PriceTable(ReplyModel):
    """All prices in their order: the first that fits a model is in force."""

    type: Literal["price_table"] = "price_table"
    file: str | None = None
    """The name of the server's price file; None without one."""
    currency: str | None = None
    prices: list[Price]
    models: list[ModelPrice]
    """Those that were asked for."""
