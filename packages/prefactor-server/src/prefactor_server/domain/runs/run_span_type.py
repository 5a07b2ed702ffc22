"""The span types that a run has spans of, to find runs by them."""

from __future__ import annotations

from typing import NamedTuple


class RunSpanType(NamedTuple):
    """A run that has spans of a type."""

    account_id: str
    agent_instance_id: str
    schema_name: str
