"""Password hashing, which is slow on purpose: in separate threads, few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from prefactor_server.domain.errors import Overloaded
from prefactor_server.domain.people.password_policy import normalized

T = TypeVar("T")

_AT_ONCE: Final = 2
_MAX_WAITING: Final = 32
_RETRY_SECONDS: Final = 2
# What OWASP recommends for argon2id: 19 MiB, two passes.
_MEMORY_KIB: Final = 19 * 1024
_PASSES: Final = 2


class Passwords:
    """Hashes and verifies passwords, two at a time, which bounds memory and CPU.

    The threads start with the first password and end with the process.
    """

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=_PASSES, memory_cost=_MEMORY_KIB, parallelism=1)
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="password")
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """Return the hash of a new password.

        Raises:
            Overloaded: too many are waiting already.
        """
        return await self._run(lambda: self._hasher.hash(normalized(password)))

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Return whether a password matches a hash. Without a hash, False takes as long.

        Raises:
            Overloaded: too many are waiting already.
        """
        return await self._run(lambda: self._verify(password, password_hash))

    def _verify(self, password: str, password_hash: str | None) -> bool:
        try:
            self._hasher.verify(password_hash or self._dummy_hash, normalized(password))
        except (VerificationError, InvalidHashError):
            return False
        return password_hash is not None

    @cached_property
    def _dummy_hash(self) -> str:
        # Computed once, by a process's first sign-in of an unknown person.
        return self._hasher.hash("nobody's")

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= _MAX_WAITING:
            raise Overloaded("Too many people are signing in: try again later", _RETRY_SECONDS)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1
