"""``prefactor completion``: completion for shells."""

from __future__ import annotations

import sys
from typing import Literal

from prefactor_cli.main import app


def completion(shell: Literal["bash", "zsh", "fish"], /) -> None:
    """Print the completion script of this command for a shell, which runs it at startup.

    Parameters
    ----------
    shell
        bash: add `eval "$(prefactor completion bash)"` to ~/.bashrc. zsh: write it to a file
        `_prefactor` in a folder of $fpath. fish: write it to
        ~/.config/fish/completions/prefactor.fish.
    """
    sys.stdout.write(app.generate_completion(prog_name="prefactor", shell=shell))
