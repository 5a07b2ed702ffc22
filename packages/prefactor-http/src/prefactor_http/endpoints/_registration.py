"""Parts of a registration, each given as a dict or as a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from prefactor_http.endpoints._arguments import as_dict, checked
from prefactor_http.models.agent_instance import AgentSchemaVersionForRegister

if TYPE_CHECKING:
    from pydantic import BaseModel


def checked_part(
    name: str, value: Mapping[str, Any] | BaseModel | None, model: type[BaseModel]
) -> dict[str, Any] | None:
    """Return the part as a dict, checked where the model knows it; other members are kept."""
    part = as_dict(name, value)
    if part is not None:
        checked(model, part, within=name)
    return part


def schemas_part(
    value: Mapping[str, Any] | AgentSchemaVersionForRegister | None,
) -> dict[str, Any] | None:
    """Return the schemas of a registration."""
    part = checked_part("agent_schema_version", value, AgentSchemaVersionForRegister)
    if part and isinstance(part.get("quality_schemas"), list):
        part = {**part, "quality_schemas": [_by_alias(item) for item in part["quality_schemas"]]}
    return part


def _by_alias(quality_schema: Any) -> Any:
    """Undo a `model_dump()` without `by_alias=True`, after which the key is `schema_`."""
    entries = cast("dict[str, Any]", quality_schema)
    if isinstance(quality_schema, dict) and "schema_" in entries:
        return {"schema" if name == "schema_" else name: item for name, item in entries.items()}
    return entries
