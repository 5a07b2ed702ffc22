"""The exceptions: attributes, base classes, pickling, and hidden secrets."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import aiohttp
import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from pydantic import BaseModel, ValidationError
from yarl import URL

from prefactor_http import (
    PrefactorApiError,
    PrefactorAuthError,
    PrefactorClientError,
    PrefactorConflictError,
    PrefactorHttpError,
    PrefactorNetworkError,
    PrefactorNotFoundError,
    PrefactorRateLimitError,
    PrefactorRequestError,
    PrefactorResponseContractError,
    PrefactorRetryExhaustedError,
    PrefactorTimeoutError,
    PrefactorValidationError,
    is_permanent_http_error,
    is_transient_http_error,
)
from prefactor_http._redaction import Redactor
from prefactor_http._transport.translation import translated

TOKEN = "tok-5f0c1a9b2d"
REDACTOR = Redactor(TOKEN)
KEY: Any = ("h", 80, False, True, None, None, None)


def _decode_error() -> json.JSONDecodeError:
    return json.JSONDecodeError("Expecting value", "<html>", 0)


def _validation_error() -> ValidationError:
    class Model(BaseModel):
        x: int

    try:
        Model.model_validate({"x": "no"})
    except ValidationError as error:
        return error
    raise AssertionError


def _request_info() -> aiohttp.RequestInfo:
    headers = CIMultiDictProxy(CIMultiDict({"Authorization": f"Bearer {TOKEN}"}))
    url = URL("http://h/p")
    return aiohttp.RequestInfo(url, "POST", headers, url)


FOREIGN: list[Exception] = [
    aiohttp.ClientError("boom"),
    aiohttp.ClientConnectionError("Connector is closed."),
    aiohttp.ServerDisconnectedError(),
    aiohttp.ClientOSError(104, "Connection reset by peer"),
    aiohttp.ClientPayloadError("not completed"),
    aiohttp.ServerTimeoutError("Timeout on reading"),
    aiohttp.InvalidURL("nonsense"),
    aiohttp.ClientResponseError(_request_info(), (), status=400, message="bad line"),
    TimeoutError(),
]
OURS: list[PrefactorHttpError] = [
    PrefactorHttpError("text"),
    PrefactorApiError("text", "code", 500),
    PrefactorAuthError("text", "bad_authtoken", 401),
    PrefactorNotFoundError("text", "not_found", 404),
    PrefactorValidationError("text", "validation_errors", 422, {"field": ["Required"]}),
    PrefactorConflictError("text", "invalid_action", 409),
    PrefactorRateLimitError("text", "unknown", 429),
    PrefactorNetworkError("text"),
    PrefactorTimeoutError("text"),
    PrefactorRetryExhaustedError("text", PrefactorApiError("inner", "unknown", 503)),
    PrefactorResponseContractError(
        "text", status_code=200, body_snippet="<", cause=_decode_error()
    ),
    PrefactorClientError("text"),
    PrefactorRequestError("text", "json_data.x"),
    *(translated(error, "POST /p", REDACTOR) for error in FOREIGN),
]


def _state(error: BaseException) -> dict[str, Any]:
    """Attributes in a form that compares by value."""
    return {name: repr(value) for name, value in vars(error).items()}


@pytest.mark.parametrize("error", OURS, ids=lambda error: type(error).__name__)
def test_it_pickles_with_all_its_attributes(error: PrefactorHttpError) -> None:
    """An error keeps its class, message and attributes when it is pickled."""
    error.attempts, error.request_id, error.retry_after = 3, "req-1", 1.5
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301 - made here
        assert type(twin) is type(error)
        assert (str(twin), twin.args) == (str(error), error.args)
        assert (twin.attempts, twin.request_id, twin.retry_after) == (3, "req-1", 1.5)
        kept = _state(twin)
        ours = {name: value for name, value in _state(error).items() if "request_info" not in name}
        assert ours.items() <= kept.items()


@pytest.mark.parametrize("error", OURS, ids=lambda error: type(error).__name__)
def test_the_text_is_the_message(error: PrefactorHttpError) -> None:
    """`str()` is the message for every class, including those with foreign bases."""
    assert str(error) == error.message == error.args[0]
    assert repr(error) == f"{type(error).__name__}({error.message!r})"


def test_an_attribute_that_does_not_pickle_is_kept_as_text() -> None:
    """A foreign exception that cannot be pickled does not make ours unpicklable."""

    class Local(Exception):  # a local class cannot be found by name
        pass

    error = PrefactorRetryExhaustedError("text", Local("what happened"))
    twin = pickle.loads(pickle.dumps(error))  # noqa: S301 - made here
    assert str(twin.last_error) == "Local: what happened"


def test_a_validation_error_as_cause_pickles() -> None:
    """Pydantic's errors travel along as the cause of a broken contract."""
    error = PrefactorResponseContractError("text", cause=_validation_error())
    assert "1 validation error" in str(pickle.loads(pickle.dumps(error)).cause)  # noqa: S301 - made here


@pytest.mark.parametrize("original", FOREIGN, ids=lambda error: type(error).__name__)
def test_a_network_failure_is_also_an_error_of_aiohttp(original: Exception) -> None:
    """One error is caught as this package's class and as aiohttp's or asyncio's."""
    error = translated(original, "POST /p", REDACTOR)
    assert isinstance(error, PrefactorHttpError)
    assert isinstance(error, type(original))
    assert "POST /p failed" in str(error)


def test_attributes_of_the_original_are_kept() -> None:
    """Code that reads `errno` or `status` from an aiohttp error keeps working."""
    reset: Any = translated(aiohttp.ClientOSError(104, "reset"), "POST /p", REDACTOR)
    assert (reset.errno, reset.strerror) == (104, "reset")
    broken: Any = translated(FOREIGN[7], "POST /p", REDACTOR)
    assert broken.status == 400


def test_equal_failures_have_one_class() -> None:
    """Classes are created once per kind of failure, not once per failure."""
    first, second = (translated(aiohttp.ClientError("x"), "GET /", REDACTOR) for _ in range(2))
    assert type(first) is type(second)


def test_the_headers_of_a_request_are_not_kept() -> None:
    """The one aiohttp error that prints request headers loses them, also as a cause."""
    original = aiohttp.ClientResponseError(_request_info(), (), status=400, message="bad line")
    error: Any = translated(original, "POST /p", REDACTOR)
    assert TOKEN not in repr(original)
    assert TOKEN not in repr(error.request_info)
    assert error.request_info.method == "POST"


def test_a_cause_that_shows_the_token_is_dropped() -> None:
    """A traceback prints causes, so a cause whose text holds the token is dropped."""
    error = translated(aiohttp.ClientError(f"echo: {TOKEN}"), "POST /p", REDACTOR)
    assert TOKEN not in str(error)
    assert error.__cause__ is None
    assert error.__suppress_context__


def test_an_incomplete_aiohttp_error_is_translated() -> None:
    """Test doubles raise errors without a request, which cannot even be printed otherwise."""
    nothing: Any = None
    error = translated(aiohttp.ClientResponseError(nothing, (), status=500), "GET /", REDACTOR)
    assert isinstance(error, aiohttp.ClientResponseError)


def test_an_exhausted_error_has_the_last_failures_attributes() -> None:
    """The final error has the request id and the server's wait of the last failure."""
    last = PrefactorRateLimitError("slow down", "unknown", 429)
    last.request_id, last.retry_after = "req-9", 120.0
    error = PrefactorRetryExhaustedError("gave up", last)
    assert (error.request_id, error.retry_after, error.last_error) == ("req-9", 120.0, last)


@pytest.mark.parametrize(
    ("error", "transient", "permanent"),
    [
        (aiohttp.ClientError(), True, False),
        (TimeoutError(), True, False),
        (PrefactorNetworkError("x"), True, False),
        (PrefactorRateLimitError("x", "unknown", 429), True, False),
        (PrefactorApiError("x", "unexpected", 500), True, False),
        (PrefactorApiError("x", "unknown", 599), True, False),
        (PrefactorConflictError("x", "invalid_action", 409), False, True),
        (PrefactorNotFoundError("x", "not_found", 404), False, True),
        (PrefactorResponseContractError("x", status_code=503), True, False),
        (PrefactorResponseContractError("x", status_code=429), True, False),
        (PrefactorResponseContractError("x", status_code=200), False, True),
        (PrefactorResponseContractError("x"), False, True),
        (PrefactorClientError("x"), False, False),
        (ValueError("x"), False, False),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_transient_and_permanent(
    error: Exception, transient: bool, permanent: bool, wrapped: bool
) -> None:
    """Failures are transient or permanent, wrapped or not."""
    seen = PrefactorRetryExhaustedError("gave up", error) if wrapped else error
    assert is_transient_http_error(seen) is transient
    assert is_permanent_http_error(seen) is permanent


def test_an_exhausted_error_without_a_cause_is_neither() -> None:
    """An exhausted error without a cause is neither transient nor permanent."""
    assert not is_transient_http_error(PrefactorRetryExhaustedError("gave up"))
    assert not is_permanent_http_error(PrefactorRetryExhaustedError("gave up"))
