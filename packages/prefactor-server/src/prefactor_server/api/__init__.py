"""The HTTP API: one door to commands and queries.

``Api`` is the ASGI application. Every operation is declared once, in the file of its noun, and that
declaration is what routes requests, runs items of a bulk request, checks scopes and writes the
OpenAPI document.
"""

from prefactor_server.api.factory import create_api
from prefactor_server.api.kernel.asgi import Api
from prefactor_server.api.kernel.services import Limits

__all__ = ["Api", "Limits", "create_api"]
