"""The exceptions of the recorder: invalid configuration and terminated runs."""

from __future__ import annotations


class RecorderError(Exception):
    """Base class of all exceptions of this package."""


class ConfigurationError(RecorderError, ValueError):
    """An argument or a `PREFACTOR_*` variable is invalid. The message says which and why."""


class RunTerminated(RecorderError):
    """The run was terminated on the server. Raised when the host opens the next span.

    Let it end the agent's work. `with recorder.run(...)` records the end and re-raises it.
    """

    def __init__(self, run_id: str, reason: str | None = None) -> None:
        """Create the exception.

        Args:
            run_id: The id of the run.
            reason: The reason given for the termination.
        """
        super().__init__(f"run {run_id} was terminated: {reason or 'no reason given'}")
        self.run_id = run_id
        """The id of the run."""
        self.reason = reason
        """The reason given for the termination, or None."""

    def __reduce__(self) -> tuple[type[RunTerminated], tuple[str, str | None]]:
        return type(self), (self.run_id, self.reason)
