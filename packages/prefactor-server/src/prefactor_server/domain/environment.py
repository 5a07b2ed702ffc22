"""An environment: where agents run (production, staging, ...)."""

from __future__ import annotations

from typing import NamedTuple


class Environment(NamedTuple):
    """One environment. An account has one default, used when a registration names none."""

    id: str
    account_id: str
    name: str
    is_default: bool
    inserted_at: int
    updated_at: int

    def lookup_keys(self) -> tuple[tuple[str, ...], ...]:
        """Return keys by its id, and by being the default."""
        return ((self.id,), DEFAULT) if self.is_default else ((self.id,),)


DEFAULT = ("", "default")
