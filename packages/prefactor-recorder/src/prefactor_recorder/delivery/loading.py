"""Loading the HTTP client in the delivery thread, beside a host that may fork at any moment.

It takes a few tenths of a second after the first record, just when a program that preloads may
fork, so a fork waits for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from prefactor_recorder.client_check import require_client
from prefactor_recorder.fork import loading

if TYPE_CHECKING:
    from prefactor_recorder.delivery.loop import Engine


def load_engine() -> type[Engine]:
    """The engine, and with it everything that delivery needs."""
    with loading:
        require_client()
        # Codecs are loaded by the first look at a host name otherwise, unprotected.
        import_module("encodings.idna")

        from prefactor_recorder.delivery.loop import Engine  # noqa: PLC0415 - it loads the HTTP client

    return Engine
