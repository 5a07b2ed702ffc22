"""The state of an OpenTelemetry trace while its spans are still arriving.

The spans of one trace and agent form one run. The row is created with the run, and deleted when the
trace has ended or has been silent for a long time.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import NamedTuple

from prefactor_server.domain.pfid import LENGTH, MAX_PARTITION, RANDOM_BYTES, encode, is_pfid

_PREFIX = LENGTH // 2


class OtlpTrace(NamedTuple):
    """A trace of an agent. ``trace_key`` derives its ``id`` from both.

    ``is_open`` means that no root has ended. ``last_end`` is the latest end of a span. ``document``
    is JSON with what is needed to handle spans that arrive later.
    """

    id: str
    account_id: str
    agent_instance_id: str
    inserted_at: int
    is_open: bool
    last_end: int
    document: bytes
    updated_at: int

    def lookup_keys(self) -> tuple[tuple[str, ...], ...]:
        """Return its key, its id."""
        return ((self.id,),)


def trace_key(agent_ref: str, trace_id: str) -> str:
    """Return the id of the row of a trace."""
    return hashlib.blake2b(f"{trace_id}:{agent_ref}".encode(), digest_size=16).hexdigest()


def run_id(account_id: str, agent_ref: str, trace_id: str, start: int) -> str:
    """Return the id of a new run for a trace whose earliest known span starts at ``start``.

    Its partition is derived from the trace, so that it is the same in every process.
    """
    named = _digest(f"{account_id}:{agent_ref}:{trace_id}")
    partition = int.from_bytes(_digest(f"{trace_id}:partition")[:4], "big") & MAX_PARTITION
    return encode(max(start // 1000, 0), partition, named)


@lru_cache(maxsize=4096)
def span_id(run: str, partition: int, trace_id: str, span: str) -> str:
    """Return the id of a span, the same for every copy that arrives.

    Its timestamp is that of the run's id, so that the spans of a run are stored together.
    """
    named = encode(0, partition, _digest(f"{trace_id}:{span}"))
    return run[:_PREFIX] + named[_PREFIX:] if is_pfid(run) else named


def environment_id(account_id: str, partition: int, name: str) -> str:
    """Return the id of the environment for a name, the same in every process."""
    return encode(0, partition, _digest(f"{account_id}:environment:{name}"))


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=RANDOM_BYTES).digest()
