"""The HTTP API on top of commands and queries.

``Api`` is the ASGI application. Each operation is declared once, in the file of its noun. That
declaration drives routing, bulk items, scope checks and the OpenAPI document.
"""

from prefactor_server.api.asgi.application import Api
from prefactor_server.api.events.hub import EventHub, EventLimits
from prefactor_server.api.factory import create_api
from prefactor_server.api.kernel.services import Limits

__all__ = ["Api", "EventHub", "EventLimits", "Limits", "create_api"]
