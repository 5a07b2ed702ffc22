"""Which standbys a server accepts, and when one is too far behind."""

import pytest

from prefactor_server.databases import open_storage
from prefactor_server.domain.errors import SettingError
from prefactor_server.settings import load_settings
from prefactor_server.storage.postgres.pool.standby_lag import StandbyLag


@pytest.mark.parametrize(
    ("read_database", "message"),
    [
        ("sqlite:///x.db", "--read-database must be postgresql://"),
        ("postgresql://nowhere:port/x", "--read-database is not a usable address"),
    ],
)
async def test_an_unusable_standby_is_refused(
    empty_url: str, read_database: str, message: str
) -> None:
    """A read database that can never be used is refused when the server starts."""
    settings = load_settings({}, {"database": empty_url, "read_database": read_database})

    with pytest.raises(SettingError, match=message):
        await open_storage(settings)


async def test_a_file_has_no_standby() -> None:
    """A database file with a read database is refused, with advice."""
    settings = load_settings({"PREFACTOR_READ_DATABASE": "postgresql://nowhere/x"}, {})

    with pytest.raises(SettingError, match="a file has no standby"):
        await open_storage(settings)


def test_lag_is_the_age_of_the_replayed_position() -> None:
    """A standby's lag is the age of the latest known position that it has replayed."""
    lag = StandbyLag(5)

    assert lag.problem(10, primary=100, standby=100) is None
    assert lag.seconds == 0
    assert lag.problem(13, primary=200, standby=150) is None
    assert lag.seconds == 3
    assert "behind by 5.0 seconds" in (lag.problem(18, primary=300, standby=150) or "")
    assert lag.problem(19, primary=300, standby=310) is None
    assert lag.seconds == 0
