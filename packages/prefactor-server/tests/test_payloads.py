"""How documents are stored: small ones unchanged, large ones compressed, with checked sizes."""

import os
import threading

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from prefactor_server.payloads import RAW, ZSTD, decode_document, encode_document

LARGE = b'{"messages": [' + b'"the same words again", ' * 100 + b'""]}'


def test_a_small_document_is_stored_unchanged() -> None:
    """A document below the compression threshold is stored unchanged."""
    assert encode_document(b'{"a":1}') == (RAW, b'{"a":1}')
    assert encode_document(b"") == (RAW, b"")
    assert encode_document(LARGE[:255]) == (RAW, LARGE[:255])


def test_a_large_document_is_compressed() -> None:
    """From the threshold on, a document that becomes smaller is compressed."""
    codec, body = encode_document(LARGE)

    assert codec == ZSTD
    assert len(body) < len(LARGE) / 5
    assert decode_document(codec, body) == LARGE


def test_an_incompressible_document_is_stored_unchanged() -> None:
    """A document that compression would enlarge is stored unchanged."""
    noise = os.urandom(1000)

    assert encode_document(noise) == (RAW, noise)


@given(st.binary(max_size=600) | st.binary(min_size=1, max_size=8).map(lambda b: b * 1000))
def test_every_document_reads_back(document: bytes) -> None:
    """A stored document reads back unchanged, and is never larger than the original."""
    codec, body = encode_document(document)

    assert decode_document(codec, body) == document
    assert len(body) <= len(document)


def test_an_unknown_codec_is_named() -> None:
    """A document with a newer server's codec is refused with the codec's number."""
    with pytest.raises(ValueError, match="codec 7 is unknown"):
        decode_document(7, b"{}")


def frame_that_claims(size: int) -> bytes:
    """Return the start of a compressed document that claims a given size."""
    return b"\x28\xb5\x2f\xfd\xe0" + size.to_bytes(8, "little") + b"\x01\x00\x00"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        encode_document(LARGE)[1][:-3],
        encode_document(LARGE)[1][:20],
        b"\x28\xb5\x2f\xfd" + b"\xff" * 40,
        frame_that_claims(2**62),
        frame_that_claims(2**40),
        frame_that_claims(64 * 1024 * 1024 + 1),
        zstandard.ZstdCompressor(write_content_size=False).compress(bytes(65 << 20)),
    ],
)
def test_a_damaged_document_is_refused(body: bytes) -> None:
    """Bytes that are not a compressed document, or claim gigabytes, are a ValueError."""
    with pytest.raises(ValueError, match="a stored document is damaged"):
        decode_document(ZSTD, body)


@given(st.binary(max_size=60), st.integers(0, 100))
def test_damage_raises_only_value_errors(noise: bytes, at: int) -> None:
    """A damaged document either decodes to something or raises ValueError."""
    body = bytearray(encode_document(LARGE)[1])
    at %= len(body)
    body[at : at + len(noise)] = noise
    try:
        decode_document(ZSTD, bytes(body))
    except ValueError as error:
        assert str(error) == "a stored document is damaged"  # noqa: PT017 - it may also be read


def test_an_oversized_document_is_not_compressed() -> None:
    """A document over the size that readers accept is stored uncompressed, and read."""
    huge = bytes(64 * 1024 * 1024 + 1)

    codec, body = encode_document(huge)
    assert codec == RAW
    assert decode_document(codec, body) is huge


def test_threads_compress_side_by_side() -> None:
    """Many threads encode and decode at once, each with its own compressor."""
    documents = [bytes([65 + number]) * 5000 for number in range(8)]
    came_back = dict[int, bool]()

    def work(number: int) -> None:
        document = documents[number]
        came_back[number] = all(
            decode_document(*encode_document(document)) == document for _ in range(200)
        )

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert came_back == dict.fromkeys(range(8), True)
