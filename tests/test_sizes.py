"""Files and folders stay small enough to read."""

from collections import defaultdict
from pathlib import Path
from statistics import median

from checkout import ROOT, files, packages, short
from source_modules import SOURCES

LINE_LIMIT = 400
MEDIAN_LIMIT = 150
FOLDER_LIMIT = 25
BUILT_PAGES = ROOT / "packages/prefactor-server/src/prefactor_server/pages"


def test_no_module_is_too_long() -> None:
    """No module of a package is longer than the limit, at which it should be split by noun."""
    lengths = {path: module.source.count("\n") for path, module in SOURCES.items()}

    assert {path: lines for path, lines in lengths.items() if lines > LINE_LIMIT} == {}


def test_no_test_file_is_too_long() -> None:
    """No test file, and no file of their support, is longer than the limit for modules."""
    lengths = {
        short(path): path.read_text(encoding="utf-8").count("\n")
        for path in files(".py")
        if "tests" in path.parts
    }

    assert {name: lines for name, lines in lengths.items() if lines > LINE_LIMIT} == {}


def test_half_of_the_modules_are_short() -> None:
    """The median length of modules is within its limit."""
    lengths = [module.source.count("\n") for module in SOURCES.values()]

    assert median(lengths) <= MEDIAN_LIMIT


def test_no_folder_has_too_many_entries() -> None:
    """No folder of a package has more entries than the limit, except migrations, which all stay."""
    entries: defaultdict[Path, set[Path]] = defaultdict(set)
    for package in packages():
        source = package / "src"
        for path in files():
            if source in path.parents and BUILT_PAGES not in path.parents:
                for entry in (path, *path.parents):
                    entries[entry.parent].add(entry)
                    if entry.parent == source:
                        break

    assert {short(folder) for folder in entries} >= {"packages/prefactor-server/src"}
    assert {
        short(folder): len(found)
        for folder, found in entries.items()
        if len(found) > FOLDER_LIMIT and folder.name != "migrations"
    } == {}
