"""``python -m prefactor_cli``: the ``prefactor`` command."""

import sys


def main() -> None:
    """Run the command. Ctrl-C ends it quietly while its modules load, too."""
    try:
        from prefactor_cli.main import main as run_command  # noqa: PLC0415

        run_command()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
