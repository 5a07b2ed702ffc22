"""``prefactor-server openapi``: prints the description of the API."""

from __future__ import annotations

from prefactor_server.api.kernel.openapi import openapi_document
from prefactor_server.api.operations import OPERATIONS
from prefactor_server.cli.output import print_document


def openapi() -> None:
    """Print the OpenAPI document of the API, as JSON."""
    print_document(openapi_document(OPERATIONS))
