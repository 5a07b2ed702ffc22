"""No module of a package imports itself, directly or through others.

Imports that only type checkers follow count, and those inside functions too: two modules that name
each other cannot be read, moved or tested apart.
"""

import graphlib

import pytest

from source_modules import SOURCES, Module, imports

PACKAGES = sorted({module.name.partition(".")[0] for module in SOURCES.values()})


def circle(modules: list[Module]) -> list[str]:
    """Return the names of modules that import one another in a circle, or an empty list."""
    names = {module.name for module in modules}
    graph = {
        module.name: {
            found
            for _, imported in imports(module)
            if (found := module_of(imported, names)) not in {None, module.name}
        }
        for module in modules
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def module_of(imported: str, names: set[str]) -> str | None:
    """Return the module that an imported dotted name is, or is defined in."""
    while imported and imported not in names:
        imported = imported.rpartition(".")[0]
    return imported or None


@pytest.mark.parametrize("package", PACKAGES)
def test_no_modules_import_each_other_in_a_circle(package: str) -> None:
    """The modules of a package can be ordered so that each imports only earlier ones."""
    modules = [each for each in SOURCES.values() if each.name.partition(".")[0] == package]

    assert circle(modules) == []


@pytest.mark.parametrize(
    "back",
    [
        "from a import first",
        "from a.first import x",
        "from .first import x",
        "if TYPE_CHECKING:\n    from a.first import x",
        "def late():\n    import a.first",
    ],
)
def test_a_circle_is_noticed(back: str) -> None:
    """A circle is reported wherever its last import is, and however it is spelled."""
    modules = [
        Module("a", "", is_package=True),
        Module("a.first", "from a import second"),
        Module("a.second", "from a.third import y"),
        Module("a.third", back),
    ]

    assert set(circle(modules)) == {"a.first", "a.second", "a.third"}


def test_a_chain_of_imports_is_not_a_circle() -> None:
    """Modules that import only what lies below them are not reported."""
    modules = [Module("a.first", "from a import second"), Module("a.second", "import os")]

    assert circle(modules) == []
