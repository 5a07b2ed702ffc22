"""The registration of a run, validated and corrected to what the API accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

from prefactor_recorder.corrections import (
    WrongTypeError,
    corrected_name,
    corrected_text,
    corrections,
    is_mapping,
    note_unreadable,
    short_repr,
)
from prefactor_recorder.encoding.values import encode, encode_object
from prefactor_recorder.errors import ConfigurationError
from prefactor_recorder.guard import not_interrupts
from prefactor_recorder.metadata import corrected_metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from prefactor_recorder.corrections import Corrected

PURPOSES = ("live", "smoke_test", "eval")
"""The purposes a run can have."""
MAX_ENVIRONMENT = 64 * 1024
"""Maximum size of a runtime environment as JSON, in bytes. Larger ones are truncated."""


class Registration(NamedTuple):
    """The members of a register body after its id, as JSON."""

    agent: str | None
    """The agent's name in the log."""
    run: bytes
    """The members that describe the run itself, such as its agent, purpose and metadata."""
    rest: bytes
    """The declared span types, and how to treat the version."""
    metadata_keys: frozenset[str] = frozenset()
    """The keys of its metadata."""

    @property
    def members(self) -> bytes:
        """All members."""
        return self.run + self.rest


def registration(fields: Mapping[str, Any], schema_version: bytes | None) -> Registration:
    """Return a registration with the fields that are not None.

    Args:
        fields: `agent_id`, `environment_id`, `purpose`, `external_identifier`, `version`
            and `metadata`.
        schema_version: The declared span types as JSON.

    Raises:
        ConfigurationError: A field has the wrong type, or the purpose is unknown.
    """
    reader = _FieldReader(fields.get("agent_id"))
    body: dict[str, Any] = {
        "agent_id": reader.agent,
        "environment_id": reader.name("environment_id", fields.get("environment_id")),
        "purpose": _purpose(fields.get("purpose")),
        "external_identifier": reader.name(
            "external_identifier", fields.get("external_identifier")
        ),
    }
    given = {name: value for name, value in body.items() if value is not None}
    given["agent_version"] = reader.version(fields.get("version"))
    metadata = corrected_metadata(fields.get("metadata"), reader.agent, frozenset())
    texts = {key: text for key, text in metadata.items() if text is not None}
    if texts:
        given["metadata"] = texts
    rest = b',"update_current_version":true'
    if schema_version is not None:
        rest += b',"agent_schema_version":' + schema_version
    return Registration(reader.agent, b"," + encode(given)[1:-1], rest, frozenset(texts))


class _FieldReader:
    """Validates and corrects the fields of one registration."""

    def __init__(self, agent_id: object) -> None:
        self.agent: str | None = None
        self.agent = self.name("agent_id", agent_id)

    def name(self, field: str, value: object) -> str | None:
        return self._text(field, value, corrected_name)

    def version(self, given: object) -> dict[str, Any]:
        """Return the fields of a version, given as its identifier or as a mapping."""
        if not is_mapping(given):
            identifier = self.name("version", given)
            return {} if identifier is None else {"external_identifier": identifier}
        try:
            fields = dict(cast("Mapping[Any, Any]", given))
        except not_interrupts() as error:
            raise ConfigurationError(f"version cannot be read: {type(error).__name__}") from error
        readers: dict[str, Callable[[str, Any], Any]] = {
            "name": self.name,
            "external_identifier": self.name,
            "description": lambda field, value: self._text(field, value, corrected_text),
            "runtime_environment": self._environment,
        }
        known: dict[str, Any] = {}
        for key, value in fields.items():
            name = str.__str__(key) if issubclass(type(key), str) else ""
            if name in readers:
                known[name] = value
                continue
            expected = ", ".join(readers)
            change = f"is not a field of a version ({expected}) and is left out"
            corrections.note("version key", key, self.agent, change)
        read = {
            name: reader(f"version[{name!r}]", known[name])
            for name, reader in readers.items()
            if name in known
        }
        return {name: value for name, value in read.items() if value is not None}

    def _environment(self, field: str, value: object) -> Any:
        if value is None:
            return None
        if not is_mapping(value):
            raise ConfigurationError(f"{field} must be a mapping, got {type(value).__name__}")
        import orjson  # noqa: PLC0415 - seldom given

        from prefactor_otel.truncation import truncate  # noqa: PLC0415

        encoded = encode_object(cast("Mapping[str, Any]", value))
        if len(encoded) > MAX_ENVIRONMENT:
            change = f"is truncated to {MAX_ENVIRONMENT} bytes"
            corrections.note(field, cast("Any", value), self.agent, change)
        return orjson.loads(truncate(encoded, MAX_ENVIRONMENT))

    def _text(
        self, field: str, value: object, correct: Callable[[object], Corrected]
    ) -> str | None:
        if value is None:
            return None
        try:
            found = correct(value)
        except WrongTypeError as error:
            expected = "a mapping, " if field == "version" else ""
            raise ConfigurationError(f"{field} must be {expected}{error}") from None
        except not_interrupts() as error:  # a number of the host
            note_unreadable(field, value, self.agent, error)
            return None
        if found.change:
            agent = value if field == "agent_id" else self.agent
            corrections.note(field, value, agent, found.change)
        return found.text or None


def _purpose(given: object) -> str | None:
    if given is None:
        return None
    text = str.__str__(cast("str", given)) if issubclass(type(given), str) else None
    if text == "":
        return None
    if text not in PURPOSES:
        expected = ", ".join(PURPOSES)
        raise ConfigurationError(f"purpose must be one of {expected}, got {short_repr(given)}")
    return text
