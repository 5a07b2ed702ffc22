"""The follower: one task behind the write path that keeps what is derived from runs up to date."""

from prefactor_server.follower.consumer import Attached, Consumer, StateStore
from prefactor_server.follower.follower import Follower
from prefactor_server.follower.signal import CommitSignal

__all__ = ["Attached", "CommitSignal", "Consumer", "Follower", "StateStore"]
