"""The domain's errors: each has a code, and keeps its message."""

import pytest

from prefactor_server.domain.errors import (
    REQUIRED,
    BadToken,
    FieldError,
    IdempotencyKeyUsed,
    Limit,
    NotAuthenticated,
    Overloaded,
    Refusal,
    ValidationFailed,
    invalid,
    required,
)

CODES = {
    "BadRequest": "bad_request",
    "NotAuthenticated": "not_authenticated",
    "BadToken": "bad_authtoken",
    "BadCredentials": "bad_credentials",
    "NotPermitted": "not_permitted",
    "NotFound": "not_found",
    "InvalidAction": "invalid_action",
    "RunTerminated": "invalid_action",
    "IdempotencyKeyUsed": "idempotency_key_already_used",
    "ValidationFailed": "validation_errors",
    "TooLarge": "bad_request",
    "Overloaded": "unknown",
    "Unavailable": "unexpected",
    "Contended": "unexpected",
    "DatabaseUnusable": "database_unusable",
    "DatabaseDamaged": "database_unusable",
    "OutcomeUnknown": "unexpected",
    "SettingError": "unexpected",
}


def every_refusal() -> dict[str, type[Refusal]]:
    """All classes of refusal that the module defines, by name."""
    pending, found = [Refusal], dict[str, type[Refusal]]()
    while pending:
        for kind in pending.pop().__subclasses__():
            if kind.__module__ == Refusal.__module__:
                found[kind.__name__] = kind
                pending.append(kind)
    return found


def test_every_refusal_has_its_code() -> None:
    """Each class of refusal is in the table above with its public code."""
    assert {name: kind.code for name, kind in every_refusal().items()} == CODES


@pytest.mark.parametrize("name", sorted(CODES.keys() - {"ValidationFailed"}))
def test_a_refusal_keeps_its_message(name: str) -> None:
    """The message of a refusal is its text as an exception, too."""
    more = {"TooLarge": (Limit("items", 1),), "RunTerminated": ("enough",)}

    refusal = every_refusal()[name]("Try this instead", *more.get(name, ()))

    assert refusal.message == str(refusal) == "Try this instead"


def test_fields_are_refused_by_name() -> None:
    """The two short forms name one field, as wrong or as missing."""
    assert invalid("at", "must be a time").errors == {
        "at": FieldError("invalid_value", "must be a time")
    }
    assert required("at").errors == {"at": FieldError("required_value", "is required")}
    assert ValidationFailed({}).message == "Validation failed"


def test_the_message_names_the_first_field() -> None:
    """The message by itself names the first wrong field, however deeply it is nested."""
    refusal = ValidationFailed(
        {"details": {"at": FieldError("invalid_value", "must be a time")}, "b": REQUIRED}
    )
    assert refusal.message == "Validation failed: details.at must be a time"


def test_a_caller_can_catch_broadly() -> None:
    """A bad token is a subclass of missing authentication, and every class of the base class."""
    assert issubclass(BadToken, NotAuthenticated)
    assert Overloaded("later").retry_after == 1
    assert issubclass(IdempotencyKeyUsed, Refusal)
