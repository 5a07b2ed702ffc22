"""The operator's price table: two formats, and clear errors."""

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from prefactor_server.domain.errors import SettingError
from prefactor_server.domain.runs.cost import NO_PRICES, Price, PriceTable
from prefactor_server.settings.price_file import load_prices

TOML = """
currency = "USD"

[[prices]]
model = "small-*"
prompt = 0.15
completion = 1
"""


def test_both_formats_are_equivalent(tmp_path: Path) -> None:
    """TOML and JSON give the same table, to the last digit; without a file there are no prices."""
    toml, document = tmp_path / "prices.toml", tmp_path / "prices.json"
    toml.write_text(TOML, encoding="utf-8")
    rows = [{"model": "small-*", "prompt": 0.15, "completion": 1}]
    document.write_text(json.dumps({"currency": "USD", "prices": rows}), encoding="utf-8")

    table = PriceTable("USD", (Price("small-*", Decimal("0.15"), Decimal(1)),), "prices.toml")
    assert load_prices(str(toml)) == table
    assert load_prices(str(document)) == replace(table, file="prices.json")
    assert load_prices("") == NO_PRICES


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("currency =", "is not TOML"),
        ("", "currency is missing"),
        ("currency = 1", "currency is missing"),
        ("currency = 'USD'\nprices = 1", "prices must be a list"),
        (
            "currency = 'USD'\nprices = [1]",
            "1. price must be a table with completion, model, prompt",
        ),
        ("currency = 'USD'\npreise = []", "has unknown names: preise; allowed: currency, prices"),
        (TOML.replace("0.15", "-1"), "1. price: prompt must be 0 to 1000000000, got -1"),
        (TOML.replace("0.15", "nan"), "prompt must be 0 to"),
        (TOML.replace("0.15", "true"), "prompt must be the price of a million tokens"),
        (TOML.replace("prompt = 0.15", ""), "prompt must be the price of a million tokens"),
        (TOML.replace("prompt", "input"), "has unknown names: input; allowed: "),
        (TOML.replace('"small-*"', '""'), "model must be a name"),
    ],
)
def test_an_invalid_table_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """A file that is not a price table is refused, and the error names file and mistake."""
    path = tmp_path / "prices.toml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(SettingError) as caught:
        load_prices(str(path))

    assert said in caught.value.message
    assert str(path) in caught.value.message


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    """A missing file, and one that is not text, are refused."""
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe")

    for name in ("nowhere.toml", "binary.json"):
        with pytest.raises(SettingError, match="cannot be read"):
            load_prices(str(tmp_path / name))
