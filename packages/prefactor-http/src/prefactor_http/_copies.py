"""The part of the client that creates copies with other defaults or for another caller."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from prefactor_http._options import RequestOptions
from prefactor_http._resources import Resources

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from prefactor_http._calls import Context
    from prefactor_http._transport.headers import Headers
    from prefactor_http.config import HttpClientConfig


class Copies(Resources):
    """Base of the HTTP client: copies that share its session and retry quota."""

    config: HttpClientConfig
    _context: Context
    _headers: Headers
    _options: RequestOptions

    def with_options(
        self,
        *,
        deadline: float | None = None,
        request_timeout: float | None = None,
        max_retries: int | None = None,
        max_response_bytes: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Self:
        """Return a client with other defaults that shares session and retry quota with this one.

        Closing either of them closes the session. Close the original.

        Args:
            deadline: Seconds for a whole call; `math.inf` lifts the limit.
            request_timeout: Seconds for one attempt.
            max_retries: Attempts after the first one.
            max_response_bytes: Maximum size of a response body in bytes.
            headers: Extra headers of every request.
        """
        given = RequestOptions(
            deadline=deadline,
            request_timeout=request_timeout,
            max_retries=max_retries,
            max_response_bytes=max_response_bytes,
            headers=headers or {},
        )
        child = copy.copy(self)
        child.forget_resources()
        child._options = self._options.merge(given)  # noqa: SLF001 - a copy of ourselves
        return child

    def with_session(self, cookie: str) -> Self:
        """Return a client that acts as a signed-in person instead of the token.

        It shares this client's session and retry quota. Close the original.

        Args:
            cookie: The cookie from `sessions.create`.

        Raises:
            PrefactorRequestError: The cookie cannot be sent in a header.
        """
        child = copy.copy(self)
        child.forget_resources()
        child._headers = headers = self._headers.with_session(cookie)  # noqa: SLF001 - as above
        child._context = self._context._replace(redactor=headers.redactor)  # noqa: SLF001
        return child
