"""The writes that are no batches: the first account, and forgetting what has grown old."""

from __future__ import annotations

import uuid
from typing import Final

from prefactor_server.domain.account import Account
from prefactor_server.storage.base import Snapshot
from prefactor_server.storage.postgres.driver import Connection
from prefactor_server.storage.postgres.load import Loaded
from prefactor_server.storage.postgres.write import arguments
from prefactor_server.storage.postgres.write_function import write_program

# One number for all servers, of no meaning beyond that; it is locked until the transaction ends.
_LOCK: Final = "SELECT pg_advisory_xact_lock(6213795105)"
_FIRST_ACCOUNT: Final = "SELECT id FROM account ORDER BY inserted_at, id LIMIT 1"
_INSERT_ACCOUNT: Final = "INSERT INTO account VALUES ($1, $2, $3, $4, $5)"

# Servers that prune at the same time leave each other's slices alone.
_FORGET_KEYS: Final = """
DELETE FROM idempotency_key WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM idempotency_key WHERE inserted_at < $1
    ORDER BY inserted_at LIMIT $2 FOR UPDATE SKIP LOCKED))
"""
_FORGET_RECEIPTS: Final = """
DELETE FROM write_receipt WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM write_receipt
    WHERE at < ((extract(epoch FROM clock_timestamp()) - 3600) * 1000000)::bigint
    ORDER BY at LIMIT $1 FOR UPDATE SKIP LOCKED))
"""


async def create_account(connection: Connection, account: Account, rows: Snapshot) -> bool:
    """Store the first account with its first rows; whether it is this one. May be repeated."""
    async with connection.transaction():
        await connection.execute(_LOCK)
        first = await connection.fetchval(_FIRST_ACCOUNT)
        if first is not None:
            # The connection may have been lost after an attempt that had gone through.
            return bool(first == account.id)
        await connection.execute(_INSERT_ACCOUNT, *account)
        changes = arguments(Loaded({account.id: rows}, {})) or ()
        await connection.execute(write_program().call, uuid.uuid4(), *changes)
        return True


async def forget_keys(connection: Connection, before: int, slice_size: int) -> int:
    """Delete a slice of old keys, and one of old receipts; how many keys."""
    await connection.execute(_FORGET_RECEIPTS, slice_size)
    status = await connection.execute(_FORGET_KEYS, before, slice_size)
    return int(status.split()[-1])
