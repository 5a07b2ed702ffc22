"""PFIDs against the published table, and their properties for all parts."""

from itertools import count
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pfids import partition_of, timestamp_ms_of

from prefactor_server.domain.pfid import (
    ALPHABET,
    MAX_PARTITION,
    MAX_TIMESTAMP_MS,
    PfidMaker,
    encode,
    is_pfid,
)

PUBLISHED = [
    (0, 500_000_000, "00000000000000000000", "0000000000ewts800000000000000000"),
    (1, 1, "ffffffffffffffffffff", "0000000001000001zzzzzzzzzzzzzzzz"),
    (1234567890000, 123456789, "00000000000000000000", "013xrzp12g3nqk8n0000000000000000"),
    (211106355004229, 786718108, "33e1548bc0816c3b9b00", "60003msgt5qe8qcw6fgn92y0g5p3q6r0"),
    (MAX_TIMESTAMP_MS, MAX_PARTITION, "ffffffffffffffffffff", "7" + "z" * 31),
]
TIMES = st.integers(0, MAX_TIMESTAMP_MS)
PARTITIONS = st.integers(0, MAX_PARTITION)
RANDOM = st.binary(min_size=10, max_size=10)


@pytest.mark.parametrize(("timestamp", "partition", "randomness", "text"), PUBLISHED)
def test_the_published_table(timestamp: int, partition: int, randomness: str, text: str) -> None:
    """The rows that the format was published with are written and read as printed."""
    assert encode(timestamp, partition, bytes.fromhex(randomness)) == text
    assert (timestamp_ms_of(text), partition_of(text)) == (timestamp, partition)


@given(TIMES, PARTITIONS, RANDOM)
def test_an_id_keeps_time_and_partition(timestamp: int, partition: int, randomness: bytes) -> None:
    """Every id is a PFID with its time and partition, and the partition is in its place."""
    text = encode(timestamp, partition, randomness)

    assert is_pfid(text)
    assert (timestamp_ms_of(text), partition_of(text)) == (timestamp, partition)
    assert text[10:16] == encode(0, partition, bytes(10))[10:16]


@given(st.tuples(TIMES, PARTITIONS, RANDOM), st.tuples(TIMES, PARTITIONS, RANDOM))
def test_text_order_is_time_order(one: tuple[int, int, bytes], two: tuple[int, int, bytes]) -> None:
    """Ids of different milliseconds sort by time, whatever their random part."""
    if one[0] != two[0]:
        assert (encode(*one) < encode(*two)) == (one[0] < two[0])


@pytest.mark.parametrize(
    ("timestamp", "partition", "randomness", "message"),
    [
        (-1, 0, bytes(10), "timestamp must be"),
        (MAX_TIMESTAMP_MS + 1, 0, bytes(10), "timestamp must be"),
        (0, -1, bytes(10), "partition must be"),
        (0, MAX_PARTITION + 1, bytes(10), "partition must be"),
        (0, 0, bytes(9), "randomness must be"),
        (0, 0, bytes(11), "randomness must be"),
    ],
)
def test_a_part_out_of_range_is_refused(
    timestamp: int, partition: int, randomness: bytes, message: str
) -> None:
    """A part that does not fit is refused by name, and never spills into its neighbour."""
    with pytest.raises(ValueError, match=message):
        encode(timestamp, partition, randomness)


VALID = "013xrzp12g3nqk8ns6jadrqmpgrjkeny"


@pytest.mark.parametrize(
    "text",
    [
        "",
        VALID[:-1],
        VALID + "0",
        VALID + "\n",
        VALID.upper(),
        "8" + VALID[1:],
        "z" + VALID[1:],
        *(VALID[:-1] + letter for letter in "ilou-_ "),
        "\u0663" + VALID[1:],
    ],
)
def test_invalid_pfids(text: str) -> None:
    """A text of another length, case, alphabet or first character is not a PFID."""
    assert is_pfid(VALID)
    assert not is_pfid(text)


@given(st.text(st.sampled_from(ALPHABET + "A8"), min_size=32, max_size=32))
def test_a_pfid_has_one_spelling(text: str) -> None:
    """A text that counts as a PFID is exactly what its parts would be written as."""
    if is_pfid(text):
        number = 0
        for character in text:
            number = number * 32 + ALPHABET.index(character)
        randomness = (number & (2**80 - 1)).to_bytes(10, "big")
        assert encode(timestamp_ms_of(text), partition_of(text), randomness) == text


def test_a_generator_uses_the_current_millisecond() -> None:
    """Generated ids have the clock's millisecond, the partition and fresh random bits."""
    clock, noise = count(1_700_000_000_123_999, 1000), count()
    maker = PfidMaker(lambda: next(clock), lambda size: next(noise).to_bytes(size, "big"))

    first, second = maker.make(7), maker.make(8)

    assert (timestamp_ms_of(first), partition_of(first)) == (1_700_000_000_123, 7)
    assert (timestamp_ms_of(second), partition_of(second)) == (1_700_000_000_124, 8)
    assert first < second
    assert first.endswith("0")
    assert second.endswith("1")


@given(st.lists(st.integers(0, 5), min_size=1, max_size=50), st.randoms(use_true_random=False))
def test_generated_ids_are_in_order(steps: list[int], chance: Random) -> None:
    """Each generated id is greater than the one before, whatever the clock does."""
    clock = iter([1_700_000_000_000_000 + 1000 * (3 - step) for step in steps])
    maker = PfidMaker(lambda: next(clock), chance.randbytes)

    made = [maker.make(chance.randrange(2)) for _ in steps]

    stamps = [(timestamp_ms_of(one), one[16:]) for one in made]
    assert stamps == sorted(set(stamps))
    assert all(map(is_pfid, made))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=50), st.randoms(use_true_random=False))
def test_generated_run_ids_are_in_order(steps: list[int], chance: Random) -> None:
    """A run's id is greater than the one before, although each has its own partition."""
    clock = iter([1_700_000_000_000_000 + 1000 * (3 - step) for step in steps])
    maker = PfidMaker(lambda: next(clock), chance.randbytes)

    made = [maker.make_run_id() for _ in steps]

    assert made == sorted(set(made))
    assert all(map(is_pfid, made))


def test_exhausted_partitions_advance_the_millisecond() -> None:
    """When the partition would overflow, the run's id takes the next millisecond."""
    maker = PfidMaker(lambda: 5_000, lambda size: b"\xff" * size if size == 4 else bytes(size))

    made = [maker.make_run_id() for _ in range(3)]

    assert [timestamp_ms_of(one) for one in made] == [5, 6, 7]


def test_exhausted_random_bits_advance_the_millisecond() -> None:
    """When the random part would overflow, the id takes the next millisecond."""
    maker = PfidMaker(lambda: 5_000, lambda size: b"\xff" * size)

    made = [maker.make(1) for _ in range(3)]

    assert [timestamp_ms_of(one) for one in made] == [5, 6, 7]
