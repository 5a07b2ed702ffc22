"""The server's own status, for its operators."""

from typing import Any

import pytest
from people import signed_in

from prefactor_server._version import __version__

CONSUMERS = {"alerts", "run_totals", "search", "series", "span_types"}


async def _consumers(api_client: Any) -> dict[str, Any]:
    feed = (await api_client.get("/server")).details["feed"]
    return {one["name"]: one for one in feed["consumers"]}


async def test_an_operator_sees_the_servers_status(api_client: Any) -> None:
    """The answer has the current process, database and limits."""
    await api_client.span(await api_client.run())

    shown = (await api_client.get("/server")).details

    assert (shown["type"], shown["version"]) == ("server", __version__)
    assert (shown["ready"], shown["problem"], shown["has_secret_key"]) == (True, None, True)
    assert shown["started_at"] < shown["now"]
    assert shown["uptime_seconds"] > 0
    database = shown["database"]
    kind = "PostgreSQL" if api_client.database.startswith("postgres") else "SQLite"
    assert database["kind"] == kind
    assert (database["free_disk_bytes"] is None) == (kind == "PostgreSQL")
    (applied,) = await api_client.rows("SELECT max(version) FROM migration")
    assert database["schema_version"] == applied[0]
    assert database["size_bytes"] > 100_000
    assert shown["queue"] == {"bytes": {"now": 0, "limit": None}, "requests": 0}
    assert shown["event_streams"] == {"now": 0, "limit": None}
    assert shown["buffered_bytes"]["limit"] is None


async def test_consumers_report_their_lag(api_client: Any) -> None:
    """A consumer is behind until it has seen the last commit, and says for how long."""
    run = await api_client.run()
    await api_client.follow()
    caught_up = await _consumers(api_client)
    await api_client.span(run)
    (committed,) = await api_client.rows("SELECT max(at) FROM feed_change")
    api_client.clock.now = committed[0] + 90_000_000
    behind = await _consumers(api_client)
    await api_client.follow()
    again = await _consumers(api_client)

    assert set(caught_up) == set(behind) == CONSUMERS
    for name in CONSUMERS:
        assert (caught_up[name]["behind"], caught_up[name]["behind_seconds"]) == (0, 0)
        assert behind[name]["behind"] > 0
        assert 90 <= behind[name]["behind_seconds"] < 91
        assert again[name]["position"] > caught_up[name]["position"]
        assert (again[name]["behind"], again[name]["complete"]) == (0, True)


@pytest.mark.parametrize("role", ["viewer", "member"])
async def test_the_status_is_for_admins(api_client: Any, role: Any) -> None:
    """Other people and deployment tokens are refused, with the right that is needed."""
    token = await api_client.deployment_token(await api_client.run())

    of_person = await (await signed_in(api_client, role)).get("/server")
    of_agent = await api_client.get("/server", token=token)

    for refused in (of_person, of_agent):
        assert "administer" in refused.refused(403, "not_permitted")["message"]
