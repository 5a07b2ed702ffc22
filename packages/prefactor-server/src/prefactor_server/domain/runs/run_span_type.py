"""The span types of runs, which runs are found by."""

from __future__ import annotations

from typing import NamedTuple


class RunSpanType(NamedTuple):
    """A run that has spans of a type."""

    account_id: str
    agent_instance_id: str
    schema_name: str
