"""What the recorder raises: at configuration, and when a run has been terminated. Nothing else."""

from __future__ import annotations


class RecorderError(Exception):
    """Base of what this package raises."""


class ConfigurationError(RecorderError, ValueError):
    """An argument or a `PREFACTOR_*` variable cannot be used; the message says which and why."""


class RunTerminated(RecorderError):
    """Somebody ended this run on the server; raised where the host opens its next span.

    Let it end the agent's work: `with recorder.run(...)` notes the end and passes it on.
    """

    def __init__(self, run_id: str, reason: str | None = None) -> None:
        """Say which run was terminated and why.

        Args:
            run_id: The run.
            reason: The reason given at termination.
        """
        super().__init__(f"run {run_id} was terminated: {reason or 'no reason was given'}")
        self.run_id = run_id
        """The run."""
        self.reason = reason
        """The reason given at termination, or None."""

    def __reduce__(self) -> tuple[type[RunTerminated], tuple[str, str | None]]:
        return type(self), (self.run_id, self.reason)
