"""An environment: where agents run (production, staging, ...)."""

from __future__ import annotations

from typing import NamedTuple


class Environment(NamedTuple):
    """One environment. An account has one default, for registrations without an environment."""

    id: str
    account_id: str
    name: str
    is_default: bool
    inserted_at: int
    updated_at: int

    def lookup_keys(self) -> tuple[tuple[str, ...], ...]:
        """Return its keys: its id and, for the default environment, ``DEFAULT``."""
        return ((self.id,), DEFAULT) if self.is_default else ((self.id,),)


DEFAULT = ("", "default")
