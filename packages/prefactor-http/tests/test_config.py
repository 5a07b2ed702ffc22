"""Settings: checked in order, masked in reprs, read from the environment on request."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import pytest

from prefactor_http import HttpClientConfig, RequestOptions

TOKEN = "tok-5f0c1a9b2d"


def test_defaults() -> None:
    """Two arguments are enough, and the rest has the documented defaults."""
    config = HttpClientConfig("https://api.example", TOKEN)
    values = {field.name: getattr(config, field.name) for field in fields(config)}
    assert values == {
        "api_url": "https://api.example",
        "api_token": TOKEN,
        "request_timeout": 30.0,
        "connect_timeout": 10.0,
        "max_retries": 3,
        "initial_retry_delay": 1.0,
        "max_retry_delay": 60.0,
        "retry_multiplier": 2.0,
        "retry_on_status_codes": (429, 500, 502, 503, 504),
        "default_idempotency_key": None,
        "deadline": None,
        "max_response_bytes": 128 * 2**20,
    }


def test_positional_order() -> None:
    """The first ten fields can be given by position, in the published order."""
    config = HttpClientConfig("u", "t", 1.0, 2.0, 4, 5.0, 6.0, 7.0, (418,), "key")
    assert (config.max_retries, config.retry_on_status_codes) == (4, (418,))
    assert config.default_idempotency_key == "key"


BROKEN: list[tuple[str, Any, str]] = [
    ("api_url", "", "api_url is required"),
    ("api_token", "", "api_token is required"),
    ("request_timeout", 0, "request_timeout must be positive"),
    ("connect_timeout", -1, "connect_timeout must be positive"),
    ("max_retries", -1, "max_retries must be non-negative"),
    ("initial_retry_delay", 0, "initial_retry_delay must be positive"),
    ("max_retry_delay", 0, "max_retry_delay must be positive"),
    ("initial_retry_delay", 61, "initial_retry_delay must be <= max_retry_delay"),
    ("retry_multiplier", 0.5, "retry_multiplier must be >= 1"),
    ("deadline", 0, "deadline must be positive"),
    ("max_response_bytes", 0, "max_response_bytes must be positive"),
]


@pytest.mark.parametrize(("field", "value", "message"), BROKEN)
def test_each_check(field: str, value: Any, message: str) -> None:
    """Every invalid value is refused with the reason."""
    settings = {"api_url": "https://api.example", "api_token": TOKEN, field: value}
    with pytest.raises(ValueError, match=f"^{message}$"):
        HttpClientConfig(**settings)


@pytest.mark.parametrize("first", range(7))
def test_the_first_failure_wins(first: int) -> None:
    """Of several invalid values, the first in the order of checks is reported."""
    broken = {field: value for field, value, _ in reversed(BROKEN[first:7])}
    settings = {"api_url": "https://api.example", "api_token": TOKEN, **broken}
    with pytest.raises(ValueError, match=f"^{BROKEN[first][2]}$"):
        HttpClientConfig(**settings)


@pytest.mark.parametrize("field", ["request_timeout", "initial_retry_delay", "deadline"])
def test_nan_is_not_a_duration(field: str) -> None:
    """NaN fails the checks although no comparison with it is true."""
    settings: dict[str, Any] = {field: math.nan}
    with pytest.raises(ValueError, match="must be"):
        HttpClientConfig("https://api.example", TOKEN, **settings)


def test_repr_masks_the_token_and_credentials_in_the_url() -> None:
    """The repr of a configuration contains no secret."""
    shown = repr(HttpClientConfig("https://me:hunter2secret@api.example/base", TOKEN))
    assert TOKEN not in shown
    assert "hunter2secret" not in shown
    assert "***@api.example/base" in shown


def test_from_env_reads_every_field() -> None:
    """Each setting has a variable with its name in capitals."""
    config = HttpClientConfig.from_env(
        {
            "PREFACTOR_API_URL": "https://api.example",
            "PREFACTOR_API_TOKEN": f"{TOKEN}\n",
            "PREFACTOR_REQUEST_TIMEOUT": "5",
            "PREFACTOR_MAX_RETRIES": "7",
            "PREFACTOR_RETRY_ON_STATUS_CODES": "429, 503",
            "PREFACTOR_DEADLINE": "12.5",
            "PREFACTOR_MAX_RESPONSE_BYTES": "5000000",
            "PREFACTOR_RETRY_MULTIPLIER": " ",
        }
    )
    assert config == HttpClientConfig(
        "https://api.example",
        TOKEN,
        request_timeout=5.0,
        max_retries=7,
        retry_on_status_codes=(429, 503),
        deadline=12.5,
        max_response_bytes=5_000_000,
    )


def test_from_env_reads_the_process_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument, the environment of the process is read."""
    monkeypatch.setenv("PREFACTOR_API_URL", "https://api.example")
    monkeypatch.setenv("PREFACTOR_API_TOKEN", TOKEN)
    assert HttpClientConfig.from_env().api_url == "https://api.example"


def test_keywords_win_over_the_environment() -> None:
    """Arguments win over environment variables."""
    environment = {"PREFACTOR_API_TOKEN": TOKEN, "PREFACTOR_MAX_RETRIES": "not a number"}
    config = HttpClientConfig.from_env(environment, api_url="https://x.example", max_retries=1)
    assert (config.api_url, config.max_retries) == ("https://x.example", 1)


def test_a_missing_variable_is_named() -> None:
    """The error names the missing variable."""
    with pytest.raises(ValueError, match="PREFACTOR_API_TOKEN is not set"):
        HttpClientConfig.from_env({"PREFACTOR_API_URL": "https://api.example"})


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("PREFACTOR_MAX_RETRIES", "many", "a number"),
        ("PREFACTOR_RETRY_ON_STATUS_CODES", "429;503", "a comma-separated list of numbers"),
    ],
)
def test_an_unreadable_variable_is_named(variable: str, value: str, expected: str) -> None:
    """The error names the variable and the accepted values."""
    environment = {"PREFACTOR_API_URL": "u", "PREFACTOR_API_TOKEN": TOKEN, variable: value}
    with pytest.raises(ValueError, match=f"{variable} must be {expected}, got '{value}'"):
        HttpClientConfig.from_env(environment)


def test_invalid_options_are_refused() -> None:
    """The options of a call are checked like those of the client."""
    with pytest.raises(ValueError, match="deadline must be positive"):
        RequestOptions(deadline=0)
    with pytest.raises(ValueError, match="request_timeout must be positive"):
        RequestOptions(request_timeout=math.nan)
    with pytest.raises(ValueError, match="max_retries must be non-negative"):
        RequestOptions(max_retries=-1)


def test_options_show_header_names_only() -> None:
    """The value of an extra header may be a credential, so it is not printed."""
    shown = repr(RequestOptions(headers={"X-Tenant-Secret": "s3cr3t-value"}))
    assert "X-Tenant-Secret" in shown
    assert "s3cr3t-value" not in shown


def test_options_are_merged() -> None:
    """A call's options win, missing ones stay, and headers are merged."""
    base = RequestOptions(deadline=9, max_retries=2, headers={"A": "1", "B": "1"})
    call = RequestOptions(max_retries=0, headers={"B": "2"})
    assert base.merge(call) == RequestOptions(
        deadline=9, max_retries=0, headers={"A": "1", "B": "2"}
    )
