"""The server: how it is, and what tokens cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefactor_http.endpoints._base import Endpoint, to_details
from prefactor_http.models.server import PriceTable, Server

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prefactor_http._options import RequestOptions


class ServerClient(Endpoint):
    """`client.server`."""

    async def show(self, *, options: RequestOptions | None = None) -> Server:
        """Read how the server that answers is: its limits, its database, what it derives.

        Needs the right `administer`.
        """
        return to_details(await self._read("/api/v1/server", None, options), Server, "server.show")

    async def prices(
        self, models: Iterable[str] = (), *, options: RequestOptions | None = None
    ) -> PriceTable:
        """Read what tokens cost.

        Args:
            models: Names of models, at most 100, none with a comma: tells which price is in force
                for each.
            options: Limits and headers of this call only.

        Raises:
            PrefactorValidationError: There are too many models, or one has no name.
        """
        params = {"models": ",".join(models) or None}
        reply = await self._read("/api/v1/prices", params, options)
        return to_details(reply, PriceTable, "prices.show")
