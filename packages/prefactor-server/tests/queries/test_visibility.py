"""The rules about the data that a caller may see."""

from hypothesis import given
from hypothesis import strategies as st

from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.listing import Filter, Listing
from prefactor_server.queries.visibility import scoped_to

ACCOUNT = Principal("token", "account", 0, "account", None, None, None, "admin")
DEPLOYMENT = Principal("token", "account", 0, "agent_deployment", "a", "e", "d")
NAMES = st.sampled_from(["a", "e", "d", "other"])


@given(NAMES, NAMES)
def test_an_account_token_sees_everything(agent_id: str, environment_id: str) -> None:
    """An account token sees everything of its account, and its lists get no filter."""
    listing = Listing(filters=(Filter("status", "=", "active"),))

    assert ACCOUNT.can_see(agent_id, environment_id)
    assert scoped_to(ACCOUNT, listing) is listing


@given(NAMES, NAMES)
def test_a_deployment_token_sees_its_own_only(agent_id: str, environment_id: str) -> None:
    """A deployment token sees only its own agent in its own environment."""
    assert DEPLOYMENT.can_see(agent_id, environment_id) == (
        (agent_id, environment_id) == ("a", "e")
    )


def test_a_list_gets_one_more_filter() -> None:
    """A deployment token's list keeps its filters and gets one more."""
    listing = Listing(filters=(Filter("agent_id", "=", "other"),), offset=3)

    narrowed = scoped_to(DEPLOYMENT, listing)

    assert narrowed.filters[0] == listing.filters[0]
    assert set(narrowed.filters[1:]) == {
        Filter("agent_id", "=", "a"),
        Filter("environment_id", "=", "e"),
    }
    assert narrowed._replace(filters=()) == listing._replace(filters=())
