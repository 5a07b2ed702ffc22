"""Bulk requests: several operations in one round trip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefactor_http.endpoints._base import Endpoint, to_model
from prefactor_http.exceptions import PrefactorRequestError
from prefactor_http.models.bulk import BulkRequest, BulkResponse

if TYPE_CHECKING:
    from prefactor_http._options import RequestOptions


class BulkClient(Endpoint):
    """`client.bulk`."""

    async def execute(
        self, request: BulkRequest, *, options: RequestOptions | None = None
    ) -> BulkResponse:
        """Run the items in order, up to the first that fails.

        Items before a failing one have taken effect, and items after it are not run. A failing item
        does not raise: its output has the status `error`, and later items have no output. The keys
        of the items make the request safe to repeat, and it is retried like any other write.

        Raises:
            PrefactorValidationError: The request as a whole was rejected; nothing was executed.
        """
        if not isinstance(request, BulkRequest):  # pyright: ignore[reportUnnecessaryIsInstance]
            message = f"request must be a BulkRequest, got {type(request).__name__}"
            raise PrefactorRequestError(message, "request")
        reply = await self._http.request(
            "POST",
            "/api/v1/bulk",
            json_data=request.model_dump(by_alias=True),
            idempotency_key=self._key(None),
            options=options,
        )
        return to_model(reply, BulkResponse, "bulk.execute")
