"""Cost is price times tokens, and is never guessed."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefactor_server.domain.runs.cost import NO_PRICES, Cost, Price, PriceTable, TokenUse, cost_of

TABLE = PriceTable(
    "EUR",
    (
        Price("small-exact", Decimal(1), Decimal(2)),
        Price("small-*", Decimal("0.15"), Decimal("0.60")),
    ),
)
USES = st.lists(
    st.builds(
        TokenUse,
        st.sampled_from([None, "small-1", "small-2", "large"]),
        st.integers(5, 9),
        st.integers(3, 5),
        st.integers(0, 3),
        st.integers(0, 2**60),
        st.integers(0, 2**60),
    )
)


def use(model: str | None, tokens: tuple[int, int] = (0, 0), *, split: int = 1) -> TokenUse:
    """Two spans, one of which has token counts."""
    return TokenUse(model, 2, 1, split, *tokens)


@pytest.mark.parametrize(
    ("model", "price"),
    [("small-exact", 0), ("small-1", 1), ("SMALL-2", 1), ("large", None), ("", None), (None, None)],
)
def test_the_first_matching_price_applies(model: str | None, price: int | None) -> None:
    """A model takes the first price that matches its name in any case; others have none."""
    assert TABLE.price_of(model) == (None if price is None else TABLE.prices[price])


def test_tokens_are_priced_by_the_million() -> None:
    """Each kind of token has its price per million, and costs are added up exactly."""
    uses = [use("small-1", (1_000_000, 500_000)), use("small-1", (1_000_000, 500_000))]

    cost = cost_of(uses, TABLE)

    assert (cost.total_cost, cost.currency, cost.unpriced_spans) == (0.9, "EUR", 0)
    (model,) = cost.by_model
    assert (model.spans, model.prompt_tokens, model.cost) == (4, 2_000_000, 0.9)
    assert (
        (model.input_cost, model.output_cost) == (cost.input_cost, cost.output_cost) == (0.3, 0.6)
    )


def test_unpriced_usage_is_counted() -> None:
    """Unknown models and bare sums are unpriced; the rest is the total."""
    uses = [
        use("small-1", (1_000_000, 0)),
        use("large", (1_000_000, 0)),
        use(None, (5, 5)),
        use("small-2", split=0),
    ]

    cost = cost_of(uses, TABLE)

    assert (cost.total_cost, cost.unpriced_spans) == (0.15, 3)
    assert [(one.model, one.cost) for one in cost.by_model] == [
        ("large", None),
        ("small-1", 0.15),
        ("small-2", None),
        (None, None),
    ]


def test_without_anything_to_price_the_cost_is_zero() -> None:
    """Spans without tokens cost nothing; tokens without any price have an unknown cost."""
    silent = TokenUse("small-1", 3, 0, 0, 0, 0)

    assert cost_of([silent], NO_PRICES) == Cost(0, 0, 0, None, (), 0)
    assert cost_of([use("small-1", (9, 9))], NO_PRICES).total_cost is None


@given(USES)
def test_every_span_is_priced_or_counted(uses: list[TokenUse]) -> None:
    """No cost is negative, and the parts add up to the total."""
    cost = cost_of(uses, TABLE)

    assert 0 <= cost.unpriced_spans <= sum(one.counted_spans for one in uses)
    assert sum(one.spans for one in cost.by_model) == sum(one.spans for one in uses)
    costs = [one.cost for one in cost.by_model if one.cost is not None]
    assert all(one >= 0 for one in costs)
    assert cost.total_cost is None or cost.total_cost == pytest.approx(sum(costs))
    parts = (cost.input_cost or 0, cost.output_cost or 0)
    assert cost.total_cost is None or cost.total_cost == pytest.approx(sum(parts))
