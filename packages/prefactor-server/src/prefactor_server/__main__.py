"""``python -m prefactor_server``: the ``prefactor-server`` command."""

import sys


def main() -> None:
    """Run the command. Ctrl-C ends it without a traceback, also while its modules load."""
    try:
        from prefactor_server.cli.main import main as run_command  # noqa: PLC0415

        run_command()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
