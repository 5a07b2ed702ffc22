"""OpenID Connect: the requests to the provider and the validation of its responses."""

from prefactor_server.openid.config import OpenIdConfig, read_config
from prefactor_server.openid.provider import Provider

__all__ = ["OpenIdConfig", "Provider", "read_config"]
