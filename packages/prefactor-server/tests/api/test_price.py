"""Token prices, which everyone in the account can read."""

from decimal import Decimal
from typing import Any

import pytest

from prefactor_server.domain.runs.cost import NO_PRICES, Price, PriceTable

SMALL = Price("small-*", Decimal("0.15"), Decimal("0.6"))
OTHER = Price("*", Decimal(10), Decimal(30))


@pytest.fixture
def prices() -> PriceTable:
    """Prices for one family of models, and a default for others."""
    return PriceTable("USD", (SMALL, OTHER), "prices.toml")


async def test_prices_are_listed_with_their_file(api_client: Any) -> None:
    """Prices are in the order of the file, in which the first match applies."""
    assert (await api_client.get("/prices")).details == {
        "type": "price_table",
        "file": "prices.toml",
        "currency": "USD",
        "prices": [
            {"model": "small-*", "prompt": 0.15, "completion": 0.6},
            {"model": "*", "prompt": 10, "completion": 30},
        ],
        "models": [],
    }


async def test_the_first_matching_price_applies(api_client: Any) -> None:
    """Each requested model gets the first price that matches its name in any case."""
    asked = {"models": "Small-1,large,Small-1"}

    found = (await api_client.get("/prices", asked)).details["models"]

    assert [(one["model"], one["price"]["model"]) for one in found] == [
        ("Small-1", "small-*"),
        ("large", "*"),
    ]


@pytest.mark.parametrize("models", ["", "a,,b", ",".join(map(str, range(101))), "m" * 257])
async def test_invalid_model_names_are_refused(api_client: Any, models: str) -> None:
    """An empty name, a long one, and more than 100 names are a 422."""
    refused = (await api_client.get("/prices", {"models": models})).refused(
        422, "validation_errors"
    )
    assert "1 to 100 names" in refused["errors"]["models"]["message"]


async def test_a_deployment_reads_no_prices(api_client: Any) -> None:
    """A deployment token cannot read prices."""
    token = await api_client.deployment_token(await api_client.run())

    (await api_client.get("/prices", token=token)).refused(403, "not_permitted")


@pytest.mark.parametrize("prices", [NO_PRICES])
async def test_without_a_file_there_are_no_prices(api_client: Any) -> None:
    """Without a price file a model's price is null, not zero."""
    shown = (await api_client.get("/prices", {"models": "large"})).details

    assert (shown["file"], shown["currency"], shown["prices"]) == (None, None, [])
    assert shown["models"] == [{"model": "large", "price": None}]
