"""SQL files: statements with a name and a description, loaded once.

-- name: agent.by_ref
-- An agent by its id or its external identifier.
SELECT {agent} FROM agent AS t WHERE ...

``{agent}`` and the like stand for the columns of a row under the alias ``t``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any, Final, Protocol, TypeVar

from prefactor_server.domain.agent import Agent
from prefactor_server.domain.api_token import ApiToken
from prefactor_server.domain.risk.risk_profile import RiskProfile
from prefactor_server.domain.runs.agent_instance import AgentInstance
from prefactor_server.domain.runs.agent_span import AgentSpan
from prefactor_server.domain.runs.run_total import RunTotal
from prefactor_server.domain.runs.webhooks.delivery import WebhookDelivery
from prefactor_server.domain.runs.webhooks.webhook import Webhook
from prefactor_server.domain.series.figures import FinishedSpan
from prefactor_server.domain.series.rollup import Rollup

T = TypeVar("T")

_NAME: Final = re.compile(r"^-- name: (\S+)\n", re.MULTILINE)
_ROWS: Final[Mapping[str, Any]] = {
    "{agent}": Agent,
    "{delivery}": WebhookDelivery,
    "{finished_span}": FinishedSpan,
    "{risk_profile}": RiskProfile,
    "{rollup}": Rollup,
    "{run}": AgentInstance,
    "{run_total}": RunTotal,
    "{span}": AgentSpan,
    "{token}": ApiToken,
    "{webhook}": Webhook,
}


class NamedStatements(Protocol):
    """The statements of one file, executed on a database.

    A statement names its values, such as ``:account_id``. A list is one value.

    Raises from every method:
        Unavailable: the database cannot be reached, or cannot take writes now.
    """

    async def rows(
        self, make: Callable[[Iterable[Any]], T], name: str, **values: object
    ) -> list[T]:
        """Return the rows that a query finds, each as ``make`` returns it."""
        ...

    async def value(self, name: str, **values: object) -> Any:
        """Return the single value that a query finds."""
        ...

    async def change(self, name: str, **values: object) -> int:
        """Execute a write in a transaction of its own; return the number of changed rows."""
        ...

    async def change_each(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        """Execute a write for each of some rows, in one transaction."""
        ...


def load_sql(package: str, file: str) -> Mapping[str, str]:
    """Return the statements of a file, by name.

    Raises:
        ValueError: two statements have one name, or one has no description.
    """
    parts = _NAME.split(files(package).joinpath(file).read_text(encoding="utf-8"))
    statements: dict[str, str] = {}
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        if name in statements or not body.startswith("-- "):
            raise ValueError(f"{file}: {name} is a duplicate or has no description")
        statements[name] = _with_columns(body.strip())
    return statements


def columns(kind: Any) -> str:
    """Return the columns of a kind of row under the alias ``t``."""
    return ", ".join(f"t.{column}" for column in kind._fields)


def _with_columns(statement: str) -> str:
    for slot, kind in _ROWS.items():
        if slot in statement:
            statement = statement.replace(slot, columns(kind))
    return statement
