"""Prices: the cost of tokens according to the operator's price file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from prefactor_server.api.kernel.operation import Call, Parameter, Read
from prefactor_server.api.views.base import Success
from prefactor_server.domain.errors import ValidationFailed, invalid
from prefactor_server.domain.runs.cost import Price

_MAX_MODELS: Final = 100
_MAX_NAME: Final = 256


class PriceView(msgspec.Struct, frozen=True, kw_only=True):
    """The cost of a million tokens. ``model`` is a name, with ``*`` and ``?`` as wildcards."""

    model: str
    prompt: float
    completion: float


class ModelPriceView(msgspec.Struct, frozen=True, kw_only=True):
    """A requested model, and the price that applies to it, or null."""

    model: str
    price: PriceView | None


class PriceTableView(msgspec.Struct, frozen=True, kw_only=True):
    """All prices in order. The first one whose ``model`` matches applies.

    ``file`` is the name of the file that the setting ``price_file`` names, which was read when the
    server started. Without one, it is null and there are no prices.
    """

    type: Literal["price_table"] = "price_table"
    file: str | None
    currency: str | None
    prices: Sequence[PriceView]
    models: Sequence[ModelPriceView]


async def _list(call: Call) -> Success[PriceTableView]:
    table = call.services.prices
    return Success(
        details=PriceTableView(
            file=table.file or None,
            currency=table.currency,
            prices=[_view(one) for one in table.prices],
            models=[
                ModelPriceView(
                    model=name,
                    price=None if (found := table.price_of(name)) is None else _view(found),
                )
                for name in _models(call.query.get("models"))
            ],
        )
    )


def _models(text: str | None) -> Sequence[str]:
    if text is None:
        return ()
    names = tuple(dict.fromkeys(text.split(",")))
    if len(names) > _MAX_MODELS or not all(0 < len(name) <= _MAX_NAME for name in names):
        raise invalid(
            "models",
            f"must be 1 to {_MAX_MODELS} names of 1 to {_MAX_NAME} characters, separated by commas",
        )
    return names


def _view(price: Price) -> PriceView:
    return PriceView(
        model=price.model, prompt=float(price.prompt), completion=float(price.completion)
    )


OPERATIONS = (
    Read(
        name="prices.show",
        method="GET",
        path="/api/v1/prices",
        right="read",
        summary="Show the prices of tokens",
        description=("Prices are per million tokens, and come from the operator's price file."),
        access="account",
        reply=Success[PriceTableView],
        refusals=(ValidationFailed,),
        parameters=(
            Parameter(
                "models",
                f"Up to {_MAX_MODELS} names of models, separated by commas. The response shows the "
                "price that applies to each.",
            ),
        ),
        answer=_list,
    ),
)
