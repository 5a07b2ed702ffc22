"""Base of the resource clients: sends writes with a key, and reads objects and lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from prefactor_http._idempotency import idempotency_key
from prefactor_http.exceptions import PrefactorResponseContractError
from prefactor_http.models.base import ARRIVED, PaginationOutput, ReplyModel, Sorting
from prefactor_http.pages import Page, page_params, walk

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping

    from prefactor_http._options import RequestOptions
    from prefactor_http._transport.responses import RawResponse
    from prefactor_http.config import HttpClientConfig

R = TypeVar("R", bound=ReplyModel)
M = TypeVar("M", bound=BaseModel)


class HttpClient(Protocol):
    """The part of the HTTP client that a resource client uses."""

    config: HttpClientConfig

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json_data: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        options: RequestOptions | None = None,
    ) -> dict[str, Any]:
        """Send a request and return the response."""
        ...

    async def request_bytes(
        self,
        method: str,
        path: str,
        body: bytes,
        *,
        content_encoding: str | None = None,
        idempotency_key: str | None = None,
        options: RequestOptions | None = None,
    ) -> RawResponse:
        """Send an encoded body and return the response unparsed."""
        ...

    def download(
        self,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        options: RequestOptions | None = None,
    ) -> AsyncGenerator[bytes]:
        """Yield the body of a response as it arrives."""
        ...


class Endpoint:
    """Base of the resource clients."""

    def __init__(self, http_client: HttpClient) -> None:
        """Create a resource client that sends through an HTTP client."""
        self._http = http_client

    def _key(self, given: str | None) -> str:
        return idempotency_key(given, self._http.config.default_idempotency_key)

    def _write(
        self,
        method: str,
        path: str,
        body: dict[str, Any],
        key: str,
        options: RequestOptions | None,
    ) -> Awaitable[dict[str, Any]]:
        """Send a write with its key, in the body (where the API documents it) and in a header."""
        body["idempotency_key"] = key
        return self._http.request(
            method, path, json_data=body, idempotency_key=key, options=options
        )

    async def _delete(
        self, path: str, given_key: str | None, options: RequestOptions | None
    ) -> dict[str, Any]:
        return await self._write("DELETE", path, {}, self._key(given_key), options)

    async def _read(
        self, path: str, params: dict[str, Any] | None, options: RequestOptions | None
    ) -> dict[str, Any]:
        return await self._http.request("GET", path, params=params, options=options)

    async def _page(
        self,
        path: str,
        params: dict[str, Any],
        model: type[R],
        options: RequestOptions | None,
    ) -> Page[R]:
        reply = await self._read(path, params, options)
        return to_page(reply, model, path)

    def _walk(
        self,
        path: str,
        filters: dict[str, Any],
        model: type[R],
        *,
        sorting: str | None,
        page_size: int | None,
        options: RequestOptions | None,
    ) -> AsyncIterator[R]:
        filters |= page_params(sorting=sorting, offset=None, page_size=None)

        async def fetch(position: dict[str, Any]) -> Page[R]:
            return await self._page(path, {**filters, **position}, model, options)

        return walk(fetch, page_size)


def to_details(reply: dict[str, Any], model: type[R], operation: str) -> R:
    """Return the object in a response.

    Raises:
        PrefactorResponseContractError: It is missing, or lacks something the model requires.
    """
    details: Any = reply.get("details")
    instance = to_model(details, model, operation)
    instance.remember(details)
    return instance


def to_model(value: Any, model: type[M], operation: str) -> M:
    """Return a value of a response as a model, or raise a contract error.

    Raises:
        PrefactorResponseContractError: The value does not fit. The message names the operation.
    """
    try:
        return _validated(model, value)
    except ValidationError as error:
        cause = error
    try:  # treat null as absent where the model requires a value
        return _validated(model, _without_nulls(value))
    except ValidationError:
        message = f"Invalid response payload for {operation}"
        raise PrefactorResponseContractError(message, cause=cause) from cause


def _validated(model: type[M], value: Any) -> M:
    # What model_validate() calls, without its overhead for five options.
    instance: M = model.__pydantic_validator__.validate_python(value, context=ARRIVED)
    return instance


def _without_nulls(value: Any) -> Any:
    return present(**value) if isinstance(value, dict) else value


def to_page(reply: dict[str, Any], model: type[R], operation: str) -> Page[R]:
    """Return the page in a response."""
    rows: list[R] = []
    summaries: list[Any] = reply.get("summaries") or []
    for row in summaries:
        instance = to_model(row, model, operation)
        instance.remember(row)
        rows.append(instance)
    pagination, sorting = reply.get("pagination"), reply.get("sorting")
    return Page(
        rows,
        pagination=None
        if pagination is None
        else to_model(pagination, PaginationOutput, operation),
        sorting=None if sorting is None else to_model(sorting, Sorting, operation),
        raw=reply,
    )


def present(**fields: Any) -> dict[str, Any]:
    """Return the fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}
