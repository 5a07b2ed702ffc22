"""Integrations are optional: unused ones cost nothing, and missing libraries are named."""

import subprocess
import sys
from importlib.metadata import metadata

import pytest

LIBRARIES = {
    "openai": ("openai", "openai"),
    "anthropic": ("anthropic", "anthropic"),
    "opentelemetry": ("opentelemetry.sdk.trace", "opentelemetry"),
    "langchain": ("langchain_core", "langchain"),
    "openai_agents": ("agents", "openai-agents"),
}


def run(program: str) -> str:
    """Return what a program prints in a separate interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_missing_library_is_named_with_the_remedy(name: str) -> None:
    """Importing an integration without its library fails, and the error says what to install.

    It names the library, not an extra of ours: a registry may have another package of our name.
    """
    module, extra = LIBRARIES[name]
    said = run(
        f"import sys\nsys.modules[{module!r}] = None\n"
        f"try:\n    import prefactor_recorder.integrations.{name}\n"
        "except ModuleNotFoundError as error:\n    print(error)\n"
    )
    extras = [
        one for one in metadata("prefactor-recorder").get_all("Requires-Dist") if extra in one
    ]
    (asked,) = [one.partition(";")[0].strip() for one in extras if one.endswith(f"'{extra}'")]
    assert said.endswith(f'This integration needs it: pip install "{asked}"')


def test_no_library_is_loaded_by_an_import() -> None:
    """Importing the recorder and its integrations loads none of their libraries."""
    loaded = run(
        "import sys, prefactor_recorder, prefactor_recorder.integrations\n"
        "print(*{'openai', 'anthropic', 'opentelemetry'} & {*sys.modules})"
    )
    assert loaded == ""
