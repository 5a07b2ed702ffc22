"""Parses list queries: filters, sorting and pagination.

Each noun declares its filters and sort fields once. The parameters of its list, their
validation and their documentation are derived from that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from prefactor_server.api.kernel.operation import Call, Parameter
from prefactor_server.api.kernel.query import whole_number
from prefactor_server.domain.errors import BadRequest, invalid, required
from prefactor_server.domain.listing import (
    DEFAULT_PAGE_SIZE,
    MAX_PAGE_SIZE,
    Cursor,
    Filter,
    FilterTest,
    FilterValue,
    Listing,
    Sort,
    read_cursor,
)
from prefactor_server.domain.runs.metadata import MAX_KEYS

_MAX_OFFSET: Final = 2**53

_PAGINATION: Final = (
    Parameter(
        "pagination[offset]",
        "The number of rows to skip.",
        schema={"type": "integer", "minimum": 0, "default": 0},
    ),
    Parameter(
        "pagination[page_size]",
        "The number of rows on a page.",
        schema={
            "type": "integer",
            "minimum": 1,
            "maximum": MAX_PAGE_SIZE,
            "default": DEFAULT_PAGE_SIZE,
        },
    ),
    Parameter(
        "pagination[after]",
        "The next_after of the previous page, instead of an offset. Filters and order must stay.",
    ),
)
_DIRECTIONS: Final = ("asc", "desc")


def as_text(name: str, text: str) -> FilterValue:
    """Return a filter's value unchanged."""
    del name
    return text


class FilterParameter(NamedTuple):
    """A filter parameter: its column, and how its value is parsed and compared.

    With ``or_null``, the text ``null`` selects rows without a value.
    """

    parameter: Parameter
    column: str
    read: Callable[[str, str], FilterValue | tuple[str, ...]] = as_text
    test: FilterTest = "="
    or_null: bool = False


class ListQuery(NamedTuple):
    """The filters and sort fields of a noun's list.

    ``sort_cost`` is what a requested order adds to the cost of the list.
    """

    filters: tuple[FilterParameter, ...]
    sorts: tuple[str, ...]
    default: Sort = Sort()
    sort_cost: int = 0

    def parameters(self, *others: Parameter) -> tuple[Parameter, ...]:
        """Return every parameter of the list. ``others`` are those that the noun handles itself."""
        fields = [*self.sorts, *(f"-{field}" for field in self.sorts)]
        return (
            *(one.parameter for one in self.filters),
            *others,
            Parameter(
                "sorting",
                "The field to sort by; a leading minus reverses the order.",
                schema={"type": "string", "enum": fields, "default": self._default},
                cost=self.sort_cost,
            ),
            Parameter(
                "sorting[field]",
                "The field to sort by, in the alternative form.",
                schema={"type": "string", "enum": list(self.sorts)},
                cost=self.sort_cost,
            ),
            Parameter(
                "sorting[direction]",
                "The direction, in the alternative form.",
                schema={"type": "string", "enum": list(_DIRECTIONS)},
            ),
            *_PAGINATION,
        )

    @property
    def _default(self) -> str:
        return f"-{self.default.field}" if self.default.descending else self.default.field

    def read(self, query: Mapping[str, str], *more: Filter) -> Listing:
        """Parse a query. ``more`` are filters that the noun adds itself.

        Raises:
            BadRequest: parameters contradict each other.
            ValidationFailed: a parameter has an invalid value.
        """
        listing = Listing(
            filters=(*read_filters(self.filters, query), *more),
            sort=_sort(query, self.sorts, self.default),
            offset=whole_number(query, "pagination[offset]", 0, 0, _MAX_OFFSET),
            page_size=whole_number(
                query, "pagination[page_size]", DEFAULT_PAGE_SIZE, 1, MAX_PAGE_SIZE
            ),
        )
        after = query.get("pagination[after]")
        if after is None:
            return listing
        if "pagination[offset]" in query:
            raise BadRequest("Send pagination[offset] or pagination[after], not both")
        return listing._replace(after=_cursor(after, listing))


def read_filters(
    parameters: Sequence[FilterParameter], query: Mapping[str, str]
) -> Sequence[Filter]:
    """Parse the filters of a query.

    Raises:
        ValidationFailed: one has an invalid value.
    """
    filters: list[Filter] = []
    for filter_parameter in parameters:
        name, column = filter_parameter.parameter.name, filter_parameter.column
        if filter_parameter.parameter.keyed:
            filters += _keyed_filters(query, filter_parameter)
            continue
        text = query.get(name)
        if text is None:
            continue
        if filter_parameter.or_null and text == "null":
            filters.append(Filter(column, "is null", None))
        else:
            filters.append(Filter(column, filter_parameter.test, filter_parameter.read(name, text)))
    return filters


def _keyed_filters(query: Mapping[str, str], filter_parameter: FilterParameter) -> list[Filter]:
    """Return the filters of a parameter that is sent once per key."""
    prefix = f"{filter_parameter.column}["
    values = {name: text for name, text in query.items() if name.startswith(prefix)}
    if len(values) > MAX_KEYS:
        raise invalid(filter_parameter.parameter.name, f"must have at most {MAX_KEYS} keys")
    # Sorted, because a cursor remembers the filters of its list.
    return [Filter(name, "=", filter_parameter.read(name, values[name])) for name in sorted(values)]


def _sort(query: Mapping[str, str], fields: tuple[str, ...], default: Sort) -> Sort:
    bare, field = query.get("sorting"), query.get("sorting[field]")
    direction = query.get("sorting[direction]", "asc")
    if bare is not None and (field is not None or "sorting[direction]" in query):
        raise BadRequest("Send sorting or sorting[field] and sorting[direction], not both")
    if direction not in _DIRECTIONS:
        raise invalid("sorting[direction]", "must be asc or desc")
    if bare is None and field is None:
        if "sorting[direction]" not in query:
            return default
        return default._replace(descending=direction == "desc")
    name = "sorting" if bare is not None else "sorting[field]"
    sort_field = field or "" if bare is None else bare.removeprefix("-")
    if sort_field not in fields:
        raise invalid(name, f"must be one of {', '.join(fields)}")
    return Sort(sort_field, descending=direction == "desc" or (bare or "").startswith("-"))


def _cursor(text: str, listing: Listing) -> Cursor:
    try:
        return read_cursor(text, listing)
    except ValueError as error:
        raise invalid("pagination[after]", str(error)) from error


AGENT_PARAMETER: Final = Parameter(
    "agent_id",
    "The agent's id, or its external identifier. Required with an account token; a deployment "
    "token has its own.",
)


async def agent_filter(call: Call) -> Filter:
    """Return the filter of a list that belongs to one agent.

    Raises:
        ValidationFailed: an account token was used without an agent_id.
    """
    ref = call.query.get("agent_id", call.principal.agent_id)
    if ref is None:
        raise required("agent_id")
    return Filter(
        "agent_id", "=", await call.services.reader.agents.resolve_id(call.principal, ref)
    )
