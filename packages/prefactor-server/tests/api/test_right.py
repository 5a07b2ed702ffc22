"""Rights: what each role may do, for every operation."""

from typing import Any

import pytest

from prefactor_server.api.endpoints.ping import OPERATIONS as PING
from prefactor_server.api.kernel.openapi import openapi_document
from prefactor_server.api.kernel.operation import Operation
from prefactor_server.api.operations import OPERATIONS
from prefactor_server.domain.api_token import Principal
from prefactor_server.domain.errors import NotPermitted
from prefactor_server.domain.people.role import RIGHTS, Role, roles_with

DOCUMENT = openapi_document(OPERATIONS)


def _caller(role: Role) -> Principal:
    return Principal("session", "account", 0, "account", None, None, None, role)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
def test_a_role_may_call_what_its_rights_allow(operation: Operation) -> None:
    """Each role may call exactly the operations whose right it holds; a refusal names the right."""
    for role in RIGHTS:
        caller = _caller(role)
        if operation.right is None or operation.right in RIGHTS[role]:
            operation.check_access(caller)
            continue
        with pytest.raises(NotPermitted) as refused:
            operation.check_access(caller)
        assert f"the right {operation.right}" in refused.value.message
        assert ", ".join(roles_with(operation.right)) in refused.value.message


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
def test_the_document_names_the_right(operation: Operation) -> None:
    """The OpenAPI document names the right of each operation, except for public ones."""
    described = DOCUMENT["paths"][operation.path][operation.method.lower()]

    assert described.get("x-prefactor-right") == operation.right
    assert (operation.right is None) == (described.get("security") == [])
    if operation.right not in (None, "read"):
        assert "403" in described["responses"]


@pytest.mark.parametrize("declared", [{"right": None}, {"access": "public"}])
def test_an_operation_must_declare_its_right(declared: dict[str, Any]) -> None:
    """An operation without a right, or a public one with a right, is an error with its name."""
    (ping,) = PING
    given = {name: getattr(ping, name) for name in ping.__dataclass_fields__}

    with pytest.raises(TypeError, match="operation ping: declare right="):
        type(ping)(**{**given, **declared})
