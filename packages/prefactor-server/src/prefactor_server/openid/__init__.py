"""OpenID Connect: what is asked of the provider, and what is believed of its answers."""

from prefactor_server.openid.config import OpenIdConfig, read_config
from prefactor_server.openid.provider import Provider

__all__ = ["OpenIdConfig", "Provider", "read_config"]
