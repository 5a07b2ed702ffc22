"""Webhooks of real servers: killed during delivery, with replicas, and by command line."""

import asyncio
import re
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from event_receiver import NETWORKS, SECRET_KEY, EventReceiver, receiving_events
from live_server import LiveServer
from patience import patience
from prefactor_cli.main import run
from prefactor_http import BulkItem, BulkRequest, HttpClientConfig, PrefactorHttpClient

RUNS = 12
NEVER = 1_000_000
TYPES = ["run.failed", "run.finished"]


@pytest.fixture
def receiver() -> Iterator[EventReceiver]:
    """The receiver of the webhooks."""
    with receiving_events() as opened:
        yield opened


def client_of(server: LiveServer) -> PrefactorHttpClient:
    """A client of a server."""
    return PrefactorHttpClient(HttpClientConfig(server.url, server.token))


async def fail_runs(client: PrefactorHttpClient) -> set[str]:
    """Record runs that fail; their ids."""
    ids = {f"run-{number}" for number in range(RUNS)}
    for step, fields in (
        ("register", {"agent_id": "agent"}),
        ("start", {}),
        ("finish", {"status": "failed"}),
    ):
        items = [
            BulkItem(
                _type=f"agent_instances/{step}",
                idempotency_key=f"{step}-of-{one}",
                **{"id" if step == "register" else "agent_instance_id": one},
                **fields,
            )
            for one in sorted(ids)
        ]
        await client.bulk.execute(BulkRequest(items=items))
    return ids


async def until_delivered(client: PrefactorHttpClient, number: int) -> None:
    """Wait until a number of deliveries have succeeded."""
    async with asyncio.timeout(patience(60)):
        while True:
            page = await client.webhook_deliveries.list(status="delivered", page_size=1)
            assert page.pagination is not None
            if page.pagination.item_count == number:
                return
            await asyncio.sleep(0.1)


def attempts(server: LiveServer) -> int:
    """How many deliveries a server has sent so far."""
    with urllib.request.urlopen(f"{server.url}/metrics") as answer:  # noqa: S310 - our own server
        text = answer.read().decode()
    counted = re.findall(r"^prefactor_webhook_attempts_total\{.*\} (\S+)", text, re.MULTILINE)
    return int(sum(map(float, counted)))


async def test_killed_while_it_delivers(
    serve: Callable[..., LiveServer], database: str, receiver: EventReceiver, tmp_path: Path
) -> None:
    """If a server is killed during delivery, every event still arrives, in order for each run.

    On a shared database the other server takes over, and sends nothing before that.
    """
    flags = {"variables": SECRET_KEY, "database": database}
    # The longest that is allowed, so that the server does not give up the request that is held.
    patient = ("--webhook-timeout-seconds", "60")
    server = serve(tmp_path / "first", *NETWORKS, *patient, **flags)
    replicas = [server]
    if database.startswith("postgresql"):
        replicas.append(serve(tmp_path / "second", *NETWORKS, *patient, **flags))
    async with client_of(server) as client:
        made = await client.webhooks.create(url=receiver.url, events=TYPES)
        receiver.hold_from = 9
        ids = await fail_runs(client)
        assert await asyncio.to_thread(receiver.held.wait, patience(60))
        await until_delivered(client, 9)
    # One server has sent everything so far, and its next request is not answered.
    assert sorted(map(attempts, replicas)) == [0] * (len(replicas) - 1) + [9]
    assert max(Counter(one.id for one in receiver.events).values()) == 1
    sender = max(replicas, key=attempts)
    sender.kill()
    await asyncio.to_thread(receiver.until_read)  # what it sent last may still arrive
    under_way = {one.id for one in receiver.events[9:]}
    receiver.hold_from = NEVER
    receiver.released.set()
    left = [one for one in replicas if one is not sender]
    after = left[0] if left else serve(tmp_path / "first", *NETWORKS, **flags)
    async with client_of(after) as client:
        await until_delivered(client, len(ids) * len(TYPES))

    came = Counter(one.id for one in receiver.events)
    assert len(came) == len(ids) * len(TYPES)
    assert {one for one, times in came.items() if times > 1} == under_way
    order: dict[str, list[str]] = defaultdict(list)
    for one in receiver.events:
        if one.type not in order[one.run_id]:
            order[one.run_id].append(one.type)
    assert order == dict.fromkeys(ids, TYPES)
    assert all(one.is_signed_with(made.secret or "") for one in receiver.events)


def test_by_command_line(
    serve: Callable[..., LiveServer],
    receiver: EventReceiver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A webhook is created, tested, resent to, rotated and deleted."""
    server = serve(tmp_path / "server", *NETWORKS, variables=SECRET_KEY)
    monkeypatch.setenv("PREFACTOR_API_URL", server.url)
    monkeypatch.setenv("PREFACTOR_API_TOKEN", server.token)

    def prefactor(*arguments: str, code: int = 0) -> tuple[str, str]:
        assert run(("webhooks", *arguments)) == code
        return capsys.readouterr()

    _, said = prefactor("create", "https://10.0.0.1/", "--event", "run.failed", code=2)
    assert "private or reserved" in said
    scope = ("--environment", "Default", "--purpose", "live")
    secret, said = prefactor("create", receiver.url, "--event", "run.finished", *scope)
    (found,) = re.findall(r"^Webhook (\S+)\. ", said)
    assert secret.strip().startswith("whsec_")
    assert prefactor("test", found)[0] == "delivered: the receiver answered 204\n"
    assert receiver.events[-1].is_signed_with(secret.strip())
    receiver.status = 500
    assert prefactor("test", found, code=1)[0] == "failed: the receiver answered 500\n"
    receiver.status = 204
    listed, _ = prefactor("list")
    assert re.search(rf"^enabled +{found} +run\.finished ", listed, re.MULTILINE)
    deliveries, said = prefactor("deliveries", found, "--limit", "1")
    assert (len(deliveries.splitlines()), "Raise --limit" in said) == (2, True)
    failed, _ = prefactor("deliveries", "--status", "failed", "--json")
    (delivery,) = re.findall(r'"id": "(dlv_\w+)"', failed)
    assert prefactor("resend", delivery)[0] == f"{delivery} is pending\n"
    deadline = time.monotonic() + patience(30)
    while len(receiver.events) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert receiver.events[2].id == receiver.events[1].id

    secrets = [secret.strip()]
    # By default the previous secret signs as well; without an overlap, only the newest does.
    for more, signing in (((), (True, True)), (("--overlap-hours", "0"), (False, False, True))):
        secrets.append(prefactor("rotate", found, *more)[0].strip())
        prefactor("test", found)
        assert tuple(map(receiver.events[-1].is_signed_with, secrets)) == signing
    assert prefactor("disable", found)[0] == f"{found} is disabled\n"
    assert "disabled: enable it first" in prefactor("resend", delivery, code=1)[1]
    assert '"status": "enabled"' in prefactor("enable", found, "--json")[0]
    assert prefactor("delete", found)[0] == f"{found} is deleted\n"
    assert prefactor("list") == ("", "There are no webhooks.\n")
    prefactor("test", found, code=3)
