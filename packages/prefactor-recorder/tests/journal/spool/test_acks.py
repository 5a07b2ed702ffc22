"""Which records are settled, according to the ack file."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from prefactor_recorder.journal.spool.acks import ACK_SIZE, decode_acks, encode_acks, merge_ranges

# Ranges of a small segment, so that they touch and overlap.
ranges = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 20)).map(lambda pair: (pair[0], sum(pair))),
    max_size=12,
)


def offsets(given_ranges: list[tuple[int, int]]) -> set[int]:
    """Every byte that is inside one of the ranges."""
    return {at for start, end in given_ranges for at in range(start, end)}


@given(ranges)
def test_ranges_are_joined_without_losing_or_adding_a_byte(found: list[tuple[int, int]]) -> None:
    """Joined ranges hold the same bytes, in order, with a gap between any two."""
    joined = merge_ranges(found)

    assert offsets(joined) == offsets(found)
    assert all(left[1] < right[0] for left, right in pairwise(joined))


@given(ranges, st.integers(0, 80), st.integers(1, 10))
def test_a_record_is_settled_if_all_of_it_is(
    found: list[tuple[int, int]], start: int, size: int
) -> None:
    """A record is settled only if ranges contain its every byte, also when read back."""
    acked = decode_acks(encode_acks(found))

    assert acked.covers(start, start + size) == (set(range(start, start + size)) <= offsets(found))


@given(ranges, st.data())
def test_only_complete_ranges_of_a_torn_file_count(
    found: list[tuple[int, int]], data: st.DataObject
) -> None:
    """In a truncated file, only complete ranges count."""
    whole = encode_acks(found)
    cut = data.draw(st.integers(0, len(whole)))
    acked = decode_acks(whole[:cut])

    expected = offsets(found[: cut // ACK_SIZE])
    assert {at for at in range(100) if acked.covers(at, at + 1)} == expected


@given(ranges.filter(bool), st.data())
def test_a_flipped_bit_invalidates_one_range(
    found: list[tuple[int, int]], data: st.DataObject
) -> None:
    """A range with a flipped bit is ignored, and the others count."""
    whole = bytearray(encode_acks(found))
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    whole[bit // 8] ^= 1 << bit % 8
    acked = decode_acks(bytes(whole))

    flipped = bit // 8 // ACK_SIZE
    expected = offsets(found[:flipped] + found[flipped + 1 :])
    assert {at for at in range(100) if acked.covers(at, at + 1)} == expected


@given(st.binary(max_size=300))
def test_garbage_contains_no_acks(garbage: bytes) -> None:
    """Random bytes, zeros among them, are no acks."""
    assert not any(decode_acks(garbage + bytes(100)).covers(at, at + 1) for at in range(256))
