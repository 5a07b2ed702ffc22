"""Messages compressed once form complete streams in any combination."""

import zlib

from hypothesis import given, settings
from hypothesis import strategies as st

from prefactor_server.api.events.deflate import Deflate, Message, combine

MESSAGES = [Message(data) for data in (b"", b"a", b"event: changes\n" * 9000, bytes(range(256)))]


@settings(max_examples=50)
@given(st.lists(st.sampled_from(MESSAGES)))
def test_streams(messages: list[Message]) -> None:
    """Any messages in any order form one zlib stream, and each can be decoded on arrival."""
    deflate, inflate = Deflate(), zlib.decompressobj()

    assert [inflate.decompress(deflate.block(one)) for one in messages] == [
        one.data for one in messages
    ]
    inflate.decompress(deflate.end())
    assert inflate.eof


@settings(max_examples=50)
@given(st.binary(), st.binary())
def test_combine(first: bytes, second: bytes) -> None:
    """Combining the checksums of two parts gives that of the whole."""
    found = combine(zlib.adler32(first), zlib.adler32(second), len(second))

    assert found == zlib.adler32(first + second)
