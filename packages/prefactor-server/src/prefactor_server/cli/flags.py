"""The flags of ``prefactor-server``: one for each setting, and the parsing of their values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, field, is_dataclass, make_dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Optional, TypeAlias

import cyclopts

from prefactor_server.settings import GROUPS, SECRETS, SETTINGS, Setting, parse_whole_number

_GROUP_OF: Final = {
    name: cyclopts.Group(title, sort_key=number)
    for number, (title, names) in enumerate(GROUPS.items())
    for name in names.split()
}
"""The heading below which `--help` shows a setting."""


def _help(setting: Setting) -> str:
    default = f" Default: {setting.default}." if setting.default != "" else ""
    return f"{setting.help}{default} Variable: {setting.variable}."


def _read_whole_number(_type: type, tokens: Sequence[cyclopts.Token]) -> int:
    """Parse a number as strictly as in a variable. cyclopts would round 0.4 and accept 1_0."""
    (token,) = tokens
    return parse_whole_number(token.keyword or "a number", token.value)


WholeNumber: TypeAlias = Annotated[int, cyclopts.Parameter(converter=_read_whole_number)]
"""A whole number in plain digits."""

Switch: TypeAlias = Annotated[bool, cyclopts.Parameter(negative=())]
"""Whether something is done. There is no flag for not doing it."""

Json: TypeAlias = Annotated[
    bool,
    cyclopts.Parameter(
        name="--json",
        negative=(),
        help="Print a JSON object per line instead of a table.",
    ),
]
"""Whether to print for a program."""

Database: TypeAlias = Annotated[
    str | None,
    cyclopts.Parameter(name="--database", help=_help(SETTINGS[0])),
]
"""The database that a command uses."""


def _annotated(setting: Setting) -> Any:
    parameter = cyclopts.Parameter(
        help=_help(setting),
        group=_GROUP_OF[setting.name],
        converter=_read_whole_number if type(setting.default) is int else None,
    )
    return Annotated[Optional[type(setting.default)], parameter]  # noqa: UP045 - built at run time


if TYPE_CHECKING:
    # Type checkers cannot follow a class that is created at run time.
    class ServeFlags:
        """A flag for every setting, except for secrets."""

else:
    ServeFlags = make_dataclass(
        "ServeFlags",
        [
            (setting.name, _annotated(setting), field(default=None))
            for setting in SETTINGS
            if setting.name not in SECRETS
        ],
        kw_only=True,
        # Without it, the class would seem to belong to the standard library.
        namespace={"__module__": __name__},
    )


def flag_values(flags: object) -> dict[str, Any]:
    """Return the values of flags by setting, None for a flag that was not given."""
    return asdict(flags) if is_dataclass(flags) and not isinstance(flags, type) else {}
