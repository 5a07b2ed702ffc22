"""Values whose own code raises, of every type that an argument may have."""

import datetime as dt
from collections.abc import Iterator, Mapping
from numbers import Number
from typing import Any, Final
from uuid import UUID

ERRORS: Final[dict[str, type[BaseException]]] = {
    "Exception": ValueError,
    "panic": type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"}),
}
"""What they raise. Extensions written in Rust raise the second kind, which is no `Exception`."""
SPECIAL: Final = (
    *("bool", "bytes", "call", "contains", "delitem", "enter", "eq", "exit", "float", "format"),
    *("fspath", "ge", "getitem", "gt", "hash", "index", "int", "iter", "le", "len", "lt", "ne"),
    *("next", "repr", "reversed", "round", "setitem", "str", "sub", "add", "radd", "rsub"),
)


def hostile_class(
    error: type[BaseException], *bases: type, without: tuple[str, ...] = (), **more: Any
) -> Any:
    """Return a class of which every special method raises, and every method of its bases."""

    def fail(*_: Any, **__: Any) -> Any:
        raise error("from a value of the host")

    names = [f"__{name}__" for name in SPECIAL]
    names += [name for base in bases for name in vars(base) if not name.startswith("_")]
    members: dict[str, Any] = {name: fail for name in names if name not in without}
    return type("Hostile", bases, members | more)


def hostile_values(error: type[BaseException]) -> dict[str, Any]:
    """Return a hostile value of each kind."""

    def fail(*_: Any) -> Any:
        raise error("from a value of the host")

    def items(_: Any) -> Iterator[Any]:
        yield "first", 1
        raise error("from an iterator of the host")

    failing = property(fail)
    plain = hostile_class(error)
    not_callable = hostile_class(error, without=("__call__",))
    return {
        "object": plain(),
        "object that cannot be called": not_callable(),
        "class": hostile_class(error, __class__=failing)(),
        "attributes": hostile_class(error, __getattr__=fail)(),
        "properties": hostile_class(
            error, model_dump=failing, dict=failing, tolist=failing, tzinfo=failing, keys=failing
        )(),
        "str": hostile_class(error, str)("text"),
        "int": hostile_class(error, int)(7),
        "float": hostile_class(error, float)(0.5),
        "number": hostile_class(error, Number)(),
        "uuid": _uuid(error),
        "bytes": hostile_class(error, bytes)(b"bytes"),
        "dict": hostile_class(error, dict)({"key": 1}),
        "mapping": hostile_class(error, Mapping)(),
        "mapping that ends early": type(
            "Partly", (dict,), {"items": items, "__iter__": fail, "keys": fail}
        )({"key": 1}),
        "list": hostile_class(error, list)([1]),
        "datetime": hostile_class(error, dt.datetime)(2026, 1, 31, tzinfo=dt.UTC),
        "zone": dt.datetime(2026, 1, 31, tzinfo=hostile_class(error, dt.tzinfo)()),
        "exception": hostile_class(error, Exception, args=failing, __cause__=failing)(),
        "dict of them": {"inside": not_callable()},
        "dict with such a key": {hostile_class(error, __hash__=object.__hash__)(): 1},
        "list of them": [plain()],
    }


def _uuid(error: type[BaseException]) -> UUID:
    kind = hostile_class(error, UUID, without=("int", "is_safe"))
    value: UUID = object.__new__(kind)
    object.__setattr__(value, "int", 7)
    return value
