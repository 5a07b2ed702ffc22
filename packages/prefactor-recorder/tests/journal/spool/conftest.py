"""Shared by the spool's tests: records, and journals in a separate folder."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from prefactor_recorder.encoding.record import Operation, encode
from prefactor_recorder.journal.base import Journal
from prefactor_recorder.journal.spool import SpoolJournal

API_URL = "https://api.example"
API_TOKEN = "token"

Open = Callable[..., SpoolJournal]


@pytest.fixture
def record() -> Callable[..., bytes]:
    """Makes an encoded record, identified by a number."""

    def make(
        number: int, size: int = 0, operation: Operation = Operation.CREATE_SPAN, run: str = "run"
    ) -> bytes:
        body = b'"payload":"%b"' % (b"x" * size)
        return encode(operation, run.encode(), b"span-%d" % number, body)

    return make


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """A place for spools that does not exist yet."""
    return tmp_path / "state" / "spool"


@pytest.fixture
def open_journal(spool: Path) -> Iterator[Open]:
    """Opens a journal as another process would, or the first; closed when the test is over."""
    opened: list[SpoolJournal] = []

    def make(**given: Any) -> SpoolJournal:
        settings = {"api_url": API_URL, "api_token": API_TOKEN, **given}
        journal = SpoolJournal(settings.pop("spool_dir", spool), **settings)
        opened.append(journal)
        return journal

    yield make
    for journal in opened:
        journal.close()


@pytest.fixture
def read_ids() -> Callable[[Journal], list[str]]:
    """Reads everything waiting and returns the span ids."""

    def read(journal: Journal) -> list[str]:
        found: list[str] = []
        while entries := journal.read(1000):
            found += [entry.record.id for entry in entries]
        return found

    return read
