"""HTTP for the API: ASGI in and out, authentication, routing and request limits."""
