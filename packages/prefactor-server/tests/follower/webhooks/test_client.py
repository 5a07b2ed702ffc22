"""Deliveries to receivers that are slow, oversized, redirecting or private."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence

import pytest
from rows import NOW, webhook, webhook_delivery
from webhook_receiver import Receiver, receiving

from prefactor_server.domain.runs.webhooks.delivery import Attempt
from prefactor_server.domain.runs.webhooks.target import AllowedNetworks
from prefactor_server.domain.runs.webhooks.webhook import Webhook
from prefactor_server.follower.webhooks import SecretBox, WebhookClient

BOX = SecretBox("a secret key that only tests have", os.urandom)
SECRET = "whsec_" + "QUJD" * 11


class Names:
    """Resolves each name to the addresses of its next answer, and records each lookup."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> Sequence[str]:
        assert port
        self.asked.append(host)
        answer = self.answers.pop(0)
        if not answer:
            raise OSError("no such name")
        return answer


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver on a loopback address."""
    async with receiving() as opened:
        yield opened


async def _send(
    url: str,
    *,
    networks: str = "127.0.0.0/8",
    names: Names | None = None,
    timeout_seconds: float = 60,
    **given: object,
) -> Attempt:
    client = WebhookClient(
        BOX,
        AllowedNetworks.parse(networks),
        now_us=lambda: NOW,
        timeout_seconds=timeout_seconds,
        resolve=names,
    )
    try:
        given = {"secret": BOX.encrypt(SECRET, "webhook-1"), **given}
        one: Webhook = webhook(url=url, **given)
        return await client.send(one, webhook_delivery())
    finally:
        await client.close()


async def test_a_request_is_signed_as_specified(receiver: Receiver) -> None:
    """Id, time and signature are in the three headers, and the body is what was to be sent."""
    attempt = await _send(receiver.url)

    (received,) = receiver.received
    assert attempt == Attempt(NOW, 204, None)
    assert received.headers["webhook-timestamp"] == str(NOW // 1_000_000)
    assert (received.id, received.body) == ("evt_1", b'{"type":"run.failed"}')
    assert received.is_signed_with(SECRET)


async def test_both_secrets_sign_while_they_overlap(receiver: Receiver) -> None:
    """The previous secret signs together with the new one until it expires."""
    previous = BOX.encrypt("whsec_" + "REVG" * 11, "webhook-1")
    await _send(receiver.url, previous_secret=previous, previous_secret_until=NOW + 1)
    await _send(receiver.url, previous_secret=previous, previous_secret_until=NOW)

    during, after = receiver.received
    assert during.is_signed_with(SECRET)
    assert during.is_signed_with("whsec_" + "REVG" * 11)
    assert after.is_signed_with(SECRET)
    assert not after.is_signed_with("whsec_" + "REVG" * 11)


async def test_redirects_are_not_followed(receiver: Receiver) -> None:
    """A redirect fails with a message that says what to do."""
    receiver.status, receiver.headers = 307, {"location": receiver.url}
    attempt = await _send(receiver.url)

    assert (attempt.response_status, len(receiver.received)) == (307, 1)
    assert "redirects are not followed" in (attempt.error or "")


async def test_a_hanging_receiver_times_out(receiver: Receiver) -> None:
    """A receiver that does not answer fails after the timeout."""
    receiver.hangs = True
    attempt = await _send(receiver.url, timeout_seconds=2)

    assert receiver.arrived.is_set()
    assert attempt == Attempt(NOW, None, "no complete answer within 2 seconds")


async def test_an_answer_is_read_in_part() -> None:
    """An endless answer is cut off, and its status counts."""
    sent = 0

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        try:
            while True:
                writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
                await writer.drain()
                sent += 0x10000
        except ConnectionError:
            writer.close()

    server = await asyncio.start_server(pour, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        attempt = await _send(f"http://127.0.0.1:{port}/")

    assert (attempt.response_status, attempt.succeeded) == (200, True)
    assert sent < 64 * 1024 * 1024


async def test_an_unreachable_address_is_a_failure() -> None:
    """A refused connection and an unresolvable name fail with a message that says so."""
    refused = await _send("http://127.0.0.1:9/")
    unknown = await _send("http://hooks.internal/", names=Names([]))

    assert (refused.response_status, unknown.response_status) == (None, None)
    assert "ConnectError" in (refused.error or "")
    assert "hooks.internal cannot be resolved" in (unknown.error or "")


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "fe80::1"]
)
async def test_a_name_with_a_private_address_is_refused(address: str) -> None:
    """A public name with a private address is refused when it has been resolved."""
    names = Names([address])
    attempt = await _send("https://hooks.example.org/", networks="", names=names)

    assert names.asked == ["hooks.example.org"]
    assert attempt.response_status is None
    assert "private or reserved" in (attempt.error or "")


async def test_a_name_is_resolved_once(receiver: Receiver) -> None:
    """A name is resolved once per connection, so a second answer has no effect."""
    names = Names(["10.9.9.9", "127.0.0.1"], ["10.9.9.9"])
    port = receiver.url.rpartition(":")[2]
    taken = await _send(f"http://hooks.internal:{port}", networks="127.0.0.1", names=names)
    rebound = await _send(f"http://hooks.internal:{port}", networks="127.0.0.1", names=names)

    assert taken.response_status == 204
    assert receiver.received[0].headers["host"] == f"hooks.internal:{port.partition('/')[0]}"
    assert "10.9.9.9 is a private" in (rebound.error or "")
    assert names.asked == ["hooks.internal"] * 2


async def test_a_public_name_needs_tls() -> None:
    """An http:// URL, allowed only for private networks, is not sent to a public address."""
    attempt = await _send("http://hooks.internal/", names=Names(["8.8.8.8"]))

    assert "https://" in (attempt.error or "")


async def test_a_url_is_checked_again_before_sending(receiver: Receiver) -> None:
    """A network that was allowed when the webhook was created, but no longer is, gets nothing."""
    attempt = await _send(receiver.url, networks="")

    assert "webhook_networks" in (attempt.error or "")
    assert receiver.received == []


async def test_a_secret_of_another_key_is_not_used(receiver: Receiver) -> None:
    """A server with another secret key sends nothing, and says what to do."""
    other = SecretBox("another secret key, of another server", os.urandom)
    attempt = await _send(receiver.url, secret=other.encrypt(SECRET, "webhook-1"))

    assert "another PREFACTOR_SECRET_KEY" in (attempt.error or "")
    assert receiver.received == []
