"""The follower: a background task that keeps rows derived from runs up to date."""

from prefactor_server.follower.consumer import Attached, Consumer
from prefactor_server.follower.follower import Follower
from prefactor_server.follower.signal import CommitSignal

__all__ = ["Attached", "CommitSignal", "Consumer", "Follower"]
