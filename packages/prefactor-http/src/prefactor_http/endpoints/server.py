"""The server: its state, and the prices of tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefactor_http._transport.encoding import as_list
from prefactor_http.endpoints._base import Endpoint, to_details
from prefactor_http.models.server import PriceTable, Server

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prefactor_http._options import RequestOptions


class ServerClient(Endpoint):
    """`client.server`."""

    async def show(self, *, options: RequestOptions | None = None) -> Server:
        """Read the state of the server that answers: limits, database, and lag of derived data.

        Needs the right `administer`.
        """
        return to_details(await self._read("/api/v1/server", None, options), Server, "server.show")

    async def prices(
        self, models: Iterable[str] = (), *, options: RequestOptions | None = None
    ) -> PriceTable:
        """Read the prices of tokens.

        Args:
            models: Names of at most 100 models, without commas, to learn which price applies to
                each.
            options: Limits and headers of this call only.

        Raises:
            PrefactorValidationError: There are too many models, or one has an empty name.
        """
        params = {"models": ",".join(as_list("models", models)) or None}
        reply = await self._read("/api/v1/prices", params, options)
        return to_details(reply, PriceTable, "prices.show")
