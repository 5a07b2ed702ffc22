"""Finding records in a chunk of a segment, however damaged."""

from hypothesis import given
from hypothesis import strategies as st

from prefactor_recorder.encoding.record import FRAME_SIZE, MAX_ID, Operation, Record, decode, encode
from prefactor_recorder.journal.spool.frames import scan

ids = st.text("abcdefghij0123456789_", min_size=1, max_size=MAX_ID).map(str.encode)
# Bodies are JSON: text without control characters, small integers written out.
bodies = st.text(st.characters(min_codepoint=32, codec="utf-8"), max_size=200).map(str.encode)
records = st.builds(encode, st.sampled_from(Operation), ids, ids, bodies)
segments = st.lists(records, max_size=12)


def found(data: bytes, *, last: bool = True) -> list[bytes]:
    """Return the records read from a chunk."""
    return [data[start:end] for start, end in scan(data, last=last).frames]


def bounds(written: list[bytes]) -> list[tuple[int, int]]:
    """Where each record lies when they are written one after the other."""
    at = 0
    places: list[tuple[int, int]] = []
    for record in written:
        places.append((at, at + len(record)))
        at += len(record)
    return places


@given(segments)
def test_a_sound_segment_is_read(written: list[bytes]) -> None:
    """A sound segment returns its records unchanged, with nothing left over."""
    data = b"".join(written)
    judged = scan(data, last=True)

    assert [data[start:end] for start, end in judged.frames] == written
    assert (judged.damaged, judged.rest) == (0, len(data))


@given(segments, st.data())
def test_a_torn_end_is_ignored(written: list[bytes], data: st.DataObject) -> None:
    """Wherever a segment is cut, exactly the records before the cut are read."""
    whole = b"".join(written)
    cut = data.draw(st.integers(0, len(whole)))
    judged = scan(whole[:cut], last=True)

    expected = [(start, end) for start, end in bounds(written) if end <= cut]
    assert judged.frames == expected
    assert judged.damaged == 0
    assert judged.rest == (expected[-1][1] if expected else 0)


@given(segments, st.data())
def test_a_partial_record_is_read_with_the_next_chunk(
    written: list[bytes], data: st.DataObject
) -> None:
    """A record that is only partly in a chunk is read with the next chunk, which starts with it."""
    whole = b"".join(written)
    cut = data.draw(st.integers(0, len(whole)))
    judged = scan(whole[:cut], last=False)

    assert found(whole[:cut], last=False) + found(whole[judged.rest :]) == written


@given(segments.filter(bool), st.data())
def test_a_flipped_bit_costs_one_record(written: list[bytes], data: st.DataObject) -> None:
    """Whichever bit is flipped, every other record is read and none is invented."""
    whole = bytearray(b"".join(written))
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    whole[bit // 8] ^= 1 << bit % 8

    intact = [(start, end) for start, end in bounds(written) if not start <= bit // 8 < end]
    assert scan(bytes(whole), last=True).frames == intact


@given(segments, st.binary(max_size=400))
def test_appended_garbage_adds_nothing(written: list[bytes], garbage: bytes) -> None:
    """Bytes after the last record are never read as a record."""
    assert found(b"".join(written) + garbage) == written


@given(segments, st.binary(min_size=1, max_size=400), segments)
def test_garbage_in_the_middle_is_skipped(
    before: list[bytes], garbage: bytes, behind: list[bytes]
) -> None:
    """Records after any amount of damage are read, and the damaged bytes are counted."""
    data = b"".join(before) + garbage + b"".join(behind)
    judged = scan(data, last=True)

    assert [data[start:end] for start, end in judged.frames] == before + behind
    if behind:
        assert judged.damaged == len(garbage)
        assert judged.rest == len(data)


@given(st.binary(max_size=1000))
def test_garbage_alone_contains_no_record(garbage: bytes) -> None:
    """Random bytes contain no record, and are left as they are."""
    judged = scan(garbage, last=True)

    assert (judged.frames, judged.damaged, judged.rest) == ([], 0, 0)


@given(st.lists(st.one_of(records, st.binary(min_size=1, max_size=40))), st.integers(1, 600))
def test_a_chunk_can_be_read_in_parts(pieces: list[bytes], limit: int) -> None:
    """Read in several parts, a chunk gives the same records and damage as at once."""
    data = b"".join(pieces)
    whole = scan(data, last=True)
    taken: list[bytes] = []
    at = damaged = 0
    while at < whole.rest:
        part = scan(data[at:], last=True).up_to(limit)
        sizes = [end - start for start, end in part.frames]
        assert sum(sizes[:-1]) < limit
        taken += [data[at + start : at + end] for start, end in part.frames]
        damaged += part.damaged
        at += part.rest

    assert taken == [data[start:end] for start, end in whole.frames]
    assert damaged == whole.damaged


def test_an_impossible_length_is_damage() -> None:
    """A length that no record can have is damage, and does not make a reader wait for more."""
    sound = encode(Operation.START, b"run", b"run", b"")
    data = b"\xff" * FRAME_SIZE + sound

    assert found(data, last=False) == [sound]


def test_a_damaged_segment_is_skipped() -> None:
    """Megabytes of bytes that look like record headers are still skipped."""
    sound = encode(Operation.FINISH_SPAN, b"run", b"span", b'"2026-01-31T09:30:00.000000Z"')
    data = b"\x01" * 2_000_000 + sound

    assert found(data) == [sound]
    assert decode(sound[FRAME_SIZE:]) == Record(
        Operation.FINISH_SPAN, "run", "span", b'"2026-01-31T09:30:00.000000Z"'
    )


def test_a_record_that_an_earlier_version_stored_is_read() -> None:
    """This version writes and reads the same bytes of a record as earlier versions."""
    stored = bytes.fromhex("19000000d76d310b04030672756e7370616e2d31226964223a227370616e2d3122")
    body = b'"id":"span-1"'
    record = Record(Operation.CREATE_SPAN, "run", "span-1", body)
    assert decode(stored, FRAME_SIZE) == record
    assert encode(Operation.CREATE_SPAN, b"run", b"span-1", body) == stored
