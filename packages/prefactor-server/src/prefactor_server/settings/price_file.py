"""The operator's price table, a TOML or JSON file that is read once at startup.

    currency = "USD"

    [[prices]]
    model = "gpt-4o-mini*"
    prompt = 0.15
    completion = 0.60

Prices are per million tokens. A JSON file has the same names. The server does not start with an
invalid file, because silently wrong costs are worse than none.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, cast

from prefactor_server.domain.errors import SettingError
from prefactor_server.domain.runs.cost import NO_PRICES, Price, PriceTable

_TABLE: Final = frozenset({"currency", "prices"})
_PRICE: Final = frozenset({"model", "prompt", "completion"})
_MAX_PRICE: Final = Decimal(10**9)


def load_prices(path: str) -> PriceTable:
    """Return the price table in a file, or an empty one if ``path`` is empty.

    Raises:
        SettingError: the file cannot be read or is not a valid price table.
    """
    if not path:
        return NO_PRICES
    table = _object(_parse(path), f"price_file {path}", _TABLE)
    currency = table.get("currency")
    if not isinstance(currency, str) or not currency.strip():
        raise SettingError(f'price_file {path}: currency is missing: write currency = "USD"')
    prices = table.get("prices", [])
    if not isinstance(prices, list):
        raise SettingError(f"price_file {path}: prices must be a list")
    rows = enumerate(cast("list[object]", prices), 1)
    found = tuple(_price(one, f"price_file {path}: {n}.") for n, one in rows)
    return PriceTable(currency, found, Path(path).name)


def _parse(path: str) -> object:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SettingError(f"price_file {path} cannot be read: {reason}") from error
    try:
        if path.endswith(".json"):
            return json.loads(text, parse_float=Decimal)
        return tomllib.loads(text, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as error:
        form = "JSON" if path.endswith(".json") else "TOML"
        raise SettingError(f"price_file {path} is not {form}: {error}") from error


def _price(value: object, where: str) -> Price:
    row = _object(value, f"{where} price", _PRICE)
    model = row.get("model")
    if not isinstance(model, str) or not model:
        raise SettingError(f"{where} price: model must be a name, in which * matches anything")
    return Price(model, _amount(row, "prompt", where), _amount(row, "completion", where))


def _amount(row: Mapping[str, Any], name: str, where: str) -> Decimal:
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise SettingError(f"{where} price: {name} must be the price of a million tokens")
    amount = Decimal(value)
    if not (amount.is_finite() and 0 <= amount <= _MAX_PRICE):
        raise SettingError(f"{where} price: {name} must be 0 to {_MAX_PRICE}, got {value}")
    return amount


def _object(value: object, where: str, names: frozenset[str]) -> Mapping[str, Any]:
    allowed = ", ".join(sorted(names))
    if not isinstance(value, dict):
        raise SettingError(f"{where} must be a table with {allowed}")
    table = cast("dict[str, Any]", value)
    if unknown := sorted(set(table) - names):
        raise SettingError(f"{where} has unknown names: {', '.join(unknown)}; allowed: {allowed}")
    return table
