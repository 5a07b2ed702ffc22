"""Roles and the rights that they hold.

    viewer   read
    member   read, operate
    admin    read, operate, administer

``operate`` covers runs: recording, evaluating and terminating them, clearing their alerts, and
legal holds. ``administer`` covers the account, and the declarations of agents.
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
