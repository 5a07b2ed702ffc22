"""Connections to receivers: each address is checked immediately before it is connected to.

A name is resolved here, and the connection goes to the address that was checked. Resolving it
twice, to check and to connect, would let the owner of the name return another address the second
time (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeAlias

import httpcore2

from prefactor_server.domain.runs.webhooks.target import (
    Address,
    AllowedNetworks,
    literal_address,
)

# Separate threads, so that an unanswered lookup blocks nothing else.
_RESOLVERS: Final = 8
_MAX_ADDRESSES: Final = 4


Resolve: TypeAlias = Callable[[str, int], Sequence[str]]
"""Returns the addresses of a host, for a connection to a port."""


def resolve(host: str, port: int) -> Sequence[str]:
    """Resolve a name with the system's resolver."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # A link-local address may have a zone, as in `fe80::1%eth0`. It is never a public address.
    return [str(entry[4][0]).partition("%")[0] for entry in found]


class AddressRefused(Exception):
    """None of a name's addresses may be reached; the message says why."""


class GuardedNetwork(httpcore2.AsyncNetworkBackend):
    """Connects to the addresses that webhooks may reach, and to no other."""

    def __init__(self, scheme: str, allowed: AllowedNetworks, resolve: Resolve) -> None:
        self._scheme = scheme
        self._resolve_name = resolve
        self._allowed = allowed
        # Type checkers see two classes of this name. One is for systems without anyio.
        network: Any = httpcore2.AnyIOBackend()
        self._network: httpcore2.AsyncNetworkBackend = network
        self._resolvers = ThreadPoolExecutor(_RESOLVERS, thread_name_prefix="webhook-dns")

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first address of a host that may be reached and answers.

        Raises:
            AddressRefused: none of them may be reached.
        """
        failure: Exception | None = None
        for address in self._permitted(await self._resolve(host, port)):
            try:
                return await self._network.connect_tcp(
                    str(address),
                    port,
                    timeout=timeout,
                    local_address=local_address,
                    socket_options=socket_options,
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore2.ConnectError(f"{host} has no address")

    def close(self) -> None:
        """Stop without waiting for running lookups."""
        self._resolvers.shutdown(wait=False, cancel_futures=True)

    def _permitted(self, addresses: Sequence[Address]) -> Sequence[Address]:
        refusals = [self._allowed.refusal(address, self._scheme) for address in addresses]
        permitted = [
            address for address, refusal in zip(addresses, refusals, strict=True) if refusal is None
        ]
        if not permitted and refusals:
            raise AddressRefused(refusals[0])
        return permitted[:_MAX_ADDRESSES]

    async def _resolve(self, host: str, port: int) -> Sequence[Address]:
        literal = literal_address(host)
        if literal is not None:
            return [literal]

        loop = asyncio.get_running_loop()
        try:
            texts = await loop.run_in_executor(self._resolvers, self._resolve_name, host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError(f"{host} cannot be resolved: {error}") from error
        addresses = [literal_address(text) for text in dict.fromkeys(texts)]
        return [address for address in addresses if address is not None]
