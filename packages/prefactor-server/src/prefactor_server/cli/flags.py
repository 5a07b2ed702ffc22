"""The flags of ``prefactor-server``: one for each setting, and how their values are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, field, is_dataclass, make_dataclass
from typing import TYPE_CHECKING, Annotated, Any, Optional, TypeAlias

import cyclopts

from prefactor_server.settings import SECRETS, SETTINGS, Setting, parse_whole_number


def _read_whole_number(_type: type, tokens: Sequence[cyclopts.Token]) -> int:
    """Read a number as strictly as a variable: cyclopts would round 0.4 to 0, and take 1_0."""
    (token,) = tokens
    return parse_whole_number(token.keyword or "a number", token.value)


WholeNumber: TypeAlias = Annotated[int, cyclopts.Parameter(converter=_read_whole_number)]
"""A number of an operator's, in plain digits."""

Json: TypeAlias = Annotated[
    bool,
    cyclopts.Parameter(
        name="--json",
        negative=(),
        help="Print a JSON object per line instead of a table.",
    ),
]
"""Whether a listing is for a program to read."""

Database: TypeAlias = Annotated[
    str | None,
    cyclopts.Parameter(name="--database", help=f"{SETTINGS[0].help} {SETTINGS[0].variable}."),
]
"""The database that a command works on."""


def _flags(name: str, settings: tuple[Setting, ...]) -> type[Any]:
    """A class of flags from rows of the settings table, for cyclopts to read."""
    return make_dataclass(
        name,
        [(setting.name, _annotated(setting), field(default=None)) for setting in settings],
        kw_only=True,
        # Without it the class would seem to come from the standard library.
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
    # Type checkers cannot look into a class that is made at run time.
    class ServeFlags:
        """A flag for every setting."""

    class DatabaseFlags:
        """The flag of the database alone."""

else:
    ServeFlags = _flags("ServeFlags", tuple(row for row in SETTINGS if row.name not in SECRETS))
    DatabaseFlags = _flags("DatabaseFlags", SETTINGS[:1])


def given(flags: object) -> dict[str, Any]:
    """The values of flags by their setting; None where a flag was not given."""
    return asdict(flags) if is_dataclass(flags) and not isinstance(flags, type) else {}
