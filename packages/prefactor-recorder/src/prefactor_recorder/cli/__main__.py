"""``python -m prefactor_recorder.cli``: the ``prefactor-spool`` command."""

import sys


def main() -> int:
    """Run the command. Ctrl-C ends it without a traceback, also while its modules load."""
    try:
        from prefactor_recorder.cli.main import main as run_command  # noqa: PLC0415

        return run_command()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
