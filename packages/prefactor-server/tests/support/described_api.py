"""The operations of an OpenAPI document, and requests generated from it alone."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Choose = Callable[[str, Mapping[str, Any]], Any]
"""Gives the value of a field that is a text, by its name and schema."""


@dataclass(frozen=True, repr=False)
class Described:
    """One operation, as described by the document."""

    name: str
    method: str
    path: str
    path_parameter: str | None
    query: Mapping[str, Mapping[str, Any]]
    required_query: frozenset[str]
    body: Mapping[str, Any] | None
    components: Mapping[str, Any]

    def __repr__(self) -> str:
        # Without this, a failure would print the schemas of each call.
        return f"<{self.name}>"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Print for Hypothesis."""
        del cycle
        printer.text(repr(self))

    @property
    def noun(self) -> str:
        return self.name.partition(".")[0]

    @property
    def item_type(self) -> str:
        return self.name.replace(".", "/")

    def schema(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """A schema without references, without its parts, and without null."""
        if "$ref" in schema:
            return self.schema(self.components[schema["$ref"].rpartition("/")[2]])
        for name in ("anyOf", "oneOf"):
            if name in schema:
                options = [self.schema(one) for one in schema[name]]
                return next(one for one in options if one.get("type") != "null")
        if "allOf" in schema:
            parts = [self.schema(one) for one in schema["allOf"]]
            fields = {name: one for part in parts for name, one in part["properties"].items()}
            required = [name for part in parts for name in part.get("required", ())]
            return {"type": "object", "properties": fields, "required": required}
        return schema

    def fields(self, schema: Mapping[str, Any] | None = None) -> Iterator[tuple[str, ...]]:
        """The ways to all fields of the body."""
        found = self.schema(self.body if schema is None else schema) if self.body else {}
        for name, inner in found.get("properties", {}).items():
            yield (name,)
            yield from ((name, *rest) for rest in self.fields(inner))

    def make(
        self, choose: Choose, wanted: Callable[[str], bool], schema: Any = None, name: str = ""
    ) -> Any:
        """Return a body with all required fields and the chosen optional ones."""
        found = self.schema(self.body if schema is None else schema)
        if "const" in found or "enum" in found:
            return found["const"] if "const" in found else choose(name, found)
        match found.get("type"):
            case "object":
                required = found.get("required", ())
                fields = found.get("properties", {}).items()
                return {
                    field: self.make(choose, wanted, inner, field)
                    for field, inner in fields
                    if field in required or field == "details" or wanted(field)
                }
            case "array":
                return [self.make(choose, wanted, found.get("items", {}), name)]
            case "integer" | "number":
                return found.get("minimum", 1)
            case "boolean":
                return True
            case _:
                return choose(name, found)


def described(document: Mapping[str, Any]) -> list[Described]:
    """Return all operations of a document except its own."""
    return [
        _described(path, method, one, document["components"]["schemas"])
        for path, methods in document["paths"].items()
        for method, one in methods.items()
        if one["operationId"] != "openapi"
    ]


def _described(path: str, method: str, one: Mapping[str, Any], components: Any) -> Described:
    parameters = one["parameters"]
    query = {each["name"]: each for each in parameters if each["in"] == "query"}
    return Described(
        name=one["operationId"],
        method=method.upper(),
        path=path,
        path_parameter=next((each["name"] for each in parameters if each["in"] == "path"), None),
        query={name: each["schema"] for name, each in query.items()},
        required_query=frozenset(name for name, each in query.items() if each["required"]),
        body=one["requestBody"]["content"]["application/json"]["schema"]
        if "requestBody" in one
        else None,
        components=components,
    )
