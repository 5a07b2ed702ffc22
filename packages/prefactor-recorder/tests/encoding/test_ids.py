"""Ids and timestamps in the form of the server's."""

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefactor_recorder.encoding import ids
from prefactor_recorder.encoding.clock import json_timestamp, unix_ns

MILLISECOND = 1_000_000
PUBLISHED = [
    (0, 500000000, 0, "0000000000ewts800000000000000000"),
    (1, 1, 0xFFFFFFFFFFFFFFFFFFFF, "0000000001000001zzzzzzzzzzzzzzzz"),
    (1234567890000, 123456789, 0, "013xrzp12g3nqk8n0000000000000000"),
    (281474976710655, 1073741823, 0xFFFFFFFFFFFFFFFFFFFF, "7zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"),
]


@pytest.mark.parametrize(("milliseconds", "partition", "bits", "text"), PUBLISHED)
def test_ids_are_those_of_the_published_table(
    milliseconds: int, partition: int, bits: int, text: str
) -> None:
    """An id has the text that the format prescribes for its time, partition and bits."""
    draws = iter([partition, bits])
    generator = ids.IdGenerator(lambda _: next(draws))
    assert generator.new_run_id(milliseconds * MILLISECOND) == text


def test_ids_differ_and_sort_by_time() -> None:
    """Ten thousand ids of one millisecond differ, and a later id sorts after an earlier one."""
    generator = ids.IdGenerator()
    now = time.time_ns()
    minted = {generator.new_run_id(now) for _ in range(10_000)}
    assert len(minted) == 10_000
    assert max(minted) < min(generator.new_run_id(now + MILLISECOND) for _ in range(100))


def test_ids_below_a_run_have_its_partition() -> None:
    """Runs differ in their partitions, and an id made for a run repeats its run's."""
    generator = ids.IdGenerator()
    runs = [generator.new_run_id(time.time_ns()) for _ in range(20)]
    assert len({run[10:16] for run in runs}) > 1
    for run in runs:
        assert generator.new_id(0, ids.partition_of(run))[10:16] == run[10:16]


@pytest.mark.parametrize("run_id", ["run-1", "", "8" + "0" * 31, "A" * 32, "ü" * 32])
def test_a_foreign_id_gets_a_stable_partition(run_id: str) -> None:
    """Below a run whose id is not a PFID, ids get a partition that is derived from that id."""
    made = ids.IdGenerator().new_id(0, ids.partition_of(run_id))
    assert len(made) == 32
    assert set(made) <= set(ids.ALPHABET)
    assert ids.partition_of(run_id) == made[10:16] == ids.partition_of(run_id)


def test_sampling_by_id_is_even_and_stable() -> None:
    """The share of ids below a rate is that rate, and an id's number never changes."""
    generator = ids.IdGenerator()
    minted = [generator.new_run_id(time.time_ns()) for _ in range(20_000)]
    share = sum(ids.hash_fraction(each) < 0.3 for each in minted) / len(minted)
    assert 0.28 < share < 0.32
    assert ids.hash_fraction(PUBLISHED[2][3]) == ids.hash_fraction(PUBLISHED[2][3])
    assert all(0 <= ids.hash_fraction(each) < 1 for each in minted)


@given(
    st.datetimes(
        min_value=datetime(1970, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
        max_value=datetime(9999, 12, 30),  # noqa: DTZ001 - the strategy adds the zone
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]),
    )
)
def test_a_timestamp_keeps_its_microseconds(moment: datetime) -> None:
    """Any moment from 1970 on comes back from its text to the microsecond, in 29 characters."""
    text = json_timestamp(unix_ns(moment))
    assert len(text) == 29
    assert datetime.fromisoformat(text.strip('"')) == moment


@pytest.mark.parametrize("nanoseconds", [-1, -(10**20), 10**25])
def test_a_clock_that_is_off_by_centuries_still_gives_a_timestamp(nanoseconds: int) -> None:
    """A time outside the calendar is clamped to it, in the usual format."""
    text = json_timestamp(nanoseconds)
    assert len(text) == 29
    datetime.fromisoformat(text.strip('"'))
