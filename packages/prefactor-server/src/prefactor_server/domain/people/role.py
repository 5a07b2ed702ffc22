"""What a person may do: three rights, and the roles that hold one, two or three of them.

    viewer   read
    member   read, operate
    admin    read, operate, administer

``operate`` is what one does to runs: record, evaluate and terminate them, clear their alerts, hold
them. ``administer`` is what one does to the account and everything that agents are declared by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias

Right: TypeAlias = Literal["read", "operate", "administer"]
Role: TypeAlias = Literal["viewer", "member", "admin"]

RIGHTS: Final[Mapping[Role, Sequence[Right]]] = {
    "viewer": ("read",),
    "member": ("read", "operate"),
    "admin": ("read", "operate", "administer"),
}
"""The rights of each role. Roles are in ascending order."""


def roles_with(right: Right) -> Sequence[Role]:
    """Return the roles that hold a right, in ascending order."""
    return [role for role, rights in RIGHTS.items() if right in rights]
