"""The flags of ``prefactor-server``: one for each setting, and the parsing of their values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, field, is_dataclass, make_dataclass
from typing import TYPE_CHECKING, Annotated, Any, Optional, TypeAlias

import cyclopts

from prefactor_server.settings import SECRETS, SETTINGS, Setting, parse_whole_number


def _read_whole_number(_type: type, tokens: Sequence[cyclopts.Token]) -> int:
    """Parse a number as strictly as in a variable. cyclopts would round 0.4 and accept 1_0."""
    (token,) = tokens
    return parse_whole_number(token.keyword or "a number", token.value)


WholeNumber: TypeAlias = Annotated[int, cyclopts.Parameter(converter=_read_whole_number)]
"""A whole number in plain digits."""

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
    cyclopts.Parameter(name="--database", help=f"{SETTINGS[0].help} {SETTINGS[0].variable}."),
]
"""The database that a command uses."""


def _flags(name: str, settings: tuple[Setting, ...]) -> type[Any]:
    """Return a class of flags, for cyclopts to read, from rows of the settings table."""
    return make_dataclass(
        name,
        [(setting.name, _annotated(setting), field(default=None)) for setting in settings],
        kw_only=True,
        # Without it, the class would seem to belong to the standard library.
        namespace={"__module__": __name__},
    )


def _annotated(setting: Setting) -> Any:
    parameter = cyclopts.Parameter(
        help=_help(setting),
        converter=_read_whole_number if type(setting.default) is int else None,
    )
    return Annotated[Optional[type(setting.default)], parameter]  # noqa: UP045 - built at run time


def _help(setting: Setting) -> str:
    default = f" Default: {setting.default}." if setting.default != "" else ""
    return f"{setting.help}{default} Variable: {setting.variable}."


if TYPE_CHECKING:
    # Type checkers cannot follow a class that is created at run time.
    class ServeFlags:
        """A flag for every setting."""

    class DatabaseFlags:
        """Only the flag for the database."""

else:
    ServeFlags = _flags("ServeFlags", tuple(row for row in SETTINGS if row.name not in SECRETS))
    DatabaseFlags = _flags("DatabaseFlags", SETTINGS[:1])


def flag_values(flags: object) -> dict[str, Any]:
    """Return the values of flags by setting, None for a flag that was not given."""
    return asdict(flags) if is_dataclass(flags) and not isinstance(flags, type) else {}
