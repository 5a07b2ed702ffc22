"""The documentation is complete, and its links work."""

import ast
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from checkout import ROOT, files, packages, short
from live_server import PROGRAM
from pages import Page, Program, read

PAGES = [read(path) for path in files(".md")]
EXPECTED = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/tutorial.md",
    "docs/design/README.md",
    "docs/glossary.md",
    *(f"{short(package)}/README.md" for package in packages()),
]


def reference() -> str:
    """The hand-written text of the reference pages."""
    written = {page for page in ROOT.glob("docs/reference/**/*.md") if page.name != "api-fields.md"}
    pages = sorted(written)
    assert pages, "docs/reference/ holds no page yet"
    return "\n".join(page.read_text(encoding="utf-8") for page in pages)


def undocumented(names: list[str]) -> list[str]:
    """Return the names that the reference never shows as code."""
    text = reference()
    return [name for name in names if not re.search(rf"`{re.escape(name)}(?![\w-])", text)]


def openapi() -> dict[str, Any]:
    """The server's OpenAPI document."""
    shown = subprocess.run([PROGRAM, "openapi"], capture_output=True, text=True, check=True)
    return json.loads(shown.stdout)


@pytest.mark.parametrize("name", EXPECTED)
def test_the_page_exists(name: str) -> None:
    """Every required page exists and has text."""
    assert (ROOT / name).is_file(), f"{name} has not been written"
    assert len((ROOT / name).read_text(encoding="utf-8").split()) > 20


@pytest.mark.parametrize("folder", ["docs/how-to", "docs/reference"])
def test_the_folder_has_pages(folder: str) -> None:
    """The folders of how-to guides and of reference pages have pages."""
    assert [*(ROOT / folder).glob("*.md")] != []


# The modules that users import: the packages (except the server and the command line, which users
# run), their testing modules, and integrations that define `__all__`.
PUBLIC_MODULES = [
    name
    for package in packages()
    if package.name not in {"prefactor-cli", "prefactor-server"}
    for module in [package.name.replace("-", "_")]
    for name in [
        module,
        *(f"{module}.testing" for _ in package.glob("src/*/testing")),
        *(
            f"{module}.integrations.{file.parent.name}"
            for file in sorted(package.glob("src/*/integrations/*/__init__.py"))
            if "\n__all__ = " in file.read_text(encoding="utf-8")
        ),
    ]
]


@pytest.mark.parametrize("name", PUBLIC_MODULES)
def test_every_public_name_is_in_the_reference(name: str) -> None:
    """Every public name is described under docs/reference/."""
    module: ModuleType = importlib.import_module(name)

    assert module.__all__
    assert undocumented(sorted(module.__all__)) == []


def test_every_operation_is_in_the_reference() -> None:
    """Each operation is documented as `METHOD /path`."""
    operations = [
        f"{method.upper()} {path}"
        for path, methods in openapi()["paths"].items()
        for method in methods
        if method in {"delete", "get", "patch", "post", "put"}
    ]

    assert operations
    assert undocumented(operations) == []


def test_every_member_is_explained() -> None:
    """The page of the API names each member of requests and answers, except those of OTLP."""
    text = (ROOT / "docs/reference/api.md").read_text(encoding="utf-8")
    members = {
        member
        for schema in openapi()["components"]["schemas"].values()
        for member in schema.get("properties", {})
        # OTLP has names like `resourceSpans`; this one is a header.
        if member.islower() and member != "location"
    }

    assert members
    missing = {one for one in members if not re.search(rf"[`\".]{re.escape(one)}[`\"]", text)}
    assert missing == set()


def test_the_page_of_fields_is_up_to_date() -> None:
    """The page of fields is the output of `scripts/fields`."""
    command = [sys.executable, ROOT / "scripts" / "fields", "--check"]
    check = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (check.returncode, check.stderr) == (0, ""), check.stdout


def test_every_right_is_in_the_reference() -> None:
    """The table of operations has the right of each operation."""
    table = (ROOT / "docs/reference/api.md").read_text(encoding="utf-8")

    for path, methods in openapi()["paths"].items():
        for method, described in methods.items():
            row = rf"\| \[`{method.upper()} {re.escape(path)}`\].*\| (\w+) \|\n"
            assert re.findall(row, table) == [described.get("x-prefactor-right", "none")], path


def test_every_setting_is_in_the_reference() -> None:
    """Each setting has a line with its variable, its default and its help text."""
    settings = importlib.import_module("prefactor_server.settings").SETTINGS
    lines = reference().splitlines()
    missing = [
        setting.variable
        for setting in settings
        for told in [(f"`{setting.variable}`", default_of(setting), setting.help)]
        if not any(all(text in line for text in told) for line in lines)
    ]

    assert settings
    assert missing == []


def test_settings_are_grouped_as_in_the_reference() -> None:
    """`serve --help` has the headings of the reference, with the same settings below each."""
    settings = importlib.import_module("prefactor_server.settings")
    sections = re.split("^## ", reference().split("# Settings\n")[1], flags=re.MULTILINE)[1:]
    shown = {
        section.partition("\n")[0]: re.findall(r"^\| `PREFACTOR_(\w+)` ", section, re.MULTILINE)
        for section in sections
    }

    grouped = {title: names.upper().split() for title, names in settings.GROUPS.items()}

    assert {title: names for title, names in shown.items() if names} == grouped
    assert sorted(name for names in grouped.values() for name in names) == sorted(
        setting.name.upper() for setting in settings.SETTINGS
    )


def default_of(setting: Any) -> str:
    """Return a setting's default as in the reference: as code, or nothing if it is empty."""
    text = str(setting.default).lower() if isinstance(setting.default, bool) else setting.default
    return f"`{text}`" if text != "" else ""


def commands(app: Any, path: str = "prefactor-server") -> list[str]:
    """The commands of a program, groups opened."""
    groups = [(name, app[name]) for name in app if not name.startswith("-")]
    return [found for name, group in groups for found in commands(group, f"{path} {name}")] or [
        path
    ]


def options(app: Any, command: str) -> set[str]:
    """Return the options of a command, with both spellings of those that can be negated."""
    for name in command.split()[1:]:
        app = app[name]
    arguments = app.assemble_argument_collection()
    names = {name for one in arguments for name in (*one.names, *one.negatives)}
    return {name for name in names if name.startswith("-")}


def test_every_command_is_in_the_reference() -> None:
    """Each command of the server's program is documented in full."""
    found = commands(importlib.import_module("prefactor_server.cli.main").cli)

    assert "prefactor-server serve" in found
    assert undocumented(found) == []


def test_every_command_of_the_command_line_is_in_its_reference() -> None:
    """Each command has a section with its options; common options share one."""
    page = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^##+ (.+)\n((?:(?!##).*\n?)*)", page, re.MULTILINE))
    shared = sections["The connection"] + sections["Filters"]
    app = importlib.import_module("prefactor_cli.main").app
    missing = []
    for command in commands(app, "prefactor"):
        text = sections.get(f"`{command}`", "") + shared
        missing += [
            f"{command} {option}" for option in options(app, command) if f"`{option}`" not in text
        ]

    assert "`prefactor runs list`" in sections
    assert missing == []


def test_every_kind_of_client_has_a_test() -> None:
    """Each row of the compatibility page names existing tests and files of tests."""
    page = (ROOT / "docs" / "reference" / "compatibility.md").read_text(encoding="utf-8")
    usual = re.search(r"the tests are in `([^`]+)`", page)
    rows = [line.split("|")[3] for line in page.splitlines() if line.startswith("| ")][2:]

    assert usual is not None
    assert rows
    for row in rows:
        names = re.findall(r"`(test_\w+)`", row)
        files = re.findall(r"`([\w/-]+\.py)`", row) or [usual[1]]
        text = "".join((ROOT / file).read_text(encoding="utf-8") for file in {*files, usual[1]})
        assert names or files != [usual[1]], row
        assert [name for name in names if f"def {name}(" not in text] == []


def test_every_command_of_the_spool_is_in_the_reference() -> None:
    """Each command and option of `prefactor-spool` is documented."""
    program = Path(PROGRAM).with_name("prefactor-spool")
    shown = subprocess.run([program, "--help"], capture_output=True, text=True, check=True)
    names = re.findall(r"^    ([a-z][\w-]*)", shown.stdout, re.MULTILINE)
    told = [
        subprocess.run([program, name, "--help"], capture_output=True, text=True, check=True).stdout
        for name in names
    ]
    options = {option for text in told for option in re.findall(r"--[a-z-]+", text)} - {"--help"}

    assert "list" in names
    assert undocumented([f"prefactor-spool {name}" for name in names]) == []
    assert undocumented(sorted(options)) == []


def test_every_variable_of_the_recorder_is_in_the_reference() -> None:
    """Each variable of the recorder is listed with its argument."""
    variables = importlib.import_module("prefactor_recorder.settings").VARIABLES
    lines = reference().splitlines()
    missing = [
        variable
        for variable, argument in variables.items()
        if not any(f"`{variable}`" in line and f"`{argument}`" in line for line in lines)
    ]

    assert variables
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_has_a_target(page: Page) -> None:
    """A link within the repository names a file that exists and a heading that it has."""
    here = ROOT / page.name
    broken = []
    for link in page.links:
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (here.parent / name).resolve() if name else here
        is_page = target.suffix == ".md" and target.is_file()
        if not target.exists() or (anchor and is_page and anchor not in read(target).anchors):
            broken.append(link)

    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_python_block_is_python(page: Page) -> None:
    """Code shown as Python compiles, so that it can be pasted."""
    for block in page.blocks:
        if block.language == "python":
            compile(block.code, block.where, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_command_exists(page: Page) -> None:
    """A `make` command that a page tells the reader to type is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    typed = "\n".join(block.code for block in page.blocks)
    said = re.findall(r"^(?:\$ )?make ([^\n#]+)", typed, re.MULTILINE)
    said += re.findall(r"`make ([^`\n]+)`", page.prose)
    # The targets in `test ARGS="-k span"`, without options and assignments.
    words = {word for line in said for word in re.sub(r'\S*=("[^"]*"|\S*)|-\S+', "", line).split()}

    assert words - targets == set()


def test_every_guide_is_listed() -> None:
    """The index of the how-to guides links to each of them."""
    folder = ROOT / "docs" / "how-to"
    guides = {path.name for path in folder.glob("*.md")} - {"README.md"}

    assert guides - {*read(folder / "README.md").links} == set()


def test_pictures_are_small_and_used() -> None:
    """Each picture is shown by a page, and all of them are small enough for a clone."""
    texts = "\n".join(page.text for page in PAGES)
    found = [*(ROOT / "docs" / "pictures").iterdir()]

    assert found
    assert [path.name for path in found if f"pictures/{path.name}" not in texts] == []
    assert [path.name for path in found if path.stat().st_size > 150_000] == []


def test_the_changelog_has_an_unreleased_section() -> None:
    """The changelog has a section for changes that are not released yet."""
    first = next(text for text in read(ROOT / "CHANGELOG.md").headings if text != "Changelog")

    assert first.strip("[]") == "Unreleased"


def test_design_decisions_are_numbered() -> None:
    """Decisions are headings that start with a number; the numbers have no gap and no duplicate."""
    numbers = sorted(int(heading.partition(".")[0]) for heading in decisions())

    assert numbers
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_index_of_decisions_is_complete() -> None:
    """The index lists every decision by its heading."""
    listed = re.findall(r"^\* \[(\d+\. .*)\]\(", DECISIONS.read_text("utf-8"), re.MULTILINE)

    assert sorted(listed) == sorted(decisions())


DECISIONS = ROOT / "docs" / "design" / "README.md"


def decisions() -> list[str]:
    """The headings of all design decisions."""
    return [
        heading
        for path in DECISIONS.parent.glob("*.md")
        for heading in read(path).headings
        if re.match(r"\d+\. \S", heading)
    ]


def test_a_page_is_parsed() -> None:
    """Marked blocks, continued programs, links and headings of a page are found."""
    page = Page(
        "page.md",
        "# A page & more\n\n[one](other.md#top), `[no](code.md)`\n\n"
        "<!-- run: against-server -->\n```python\nx = 1\n```\n\n"
        "```python\nunmarked()\n```\n\n"
        "1. In a list:\n\n"
        "   <!-- run: against-server, continued -->\n   ```python\n   print(x)\n   ```\n\n"
        "<!-- run: against-server, given client -->\n\n```python\nawait client.close()\n```\n"
        "## A page & more\n",
    )

    assert page.programs == [
        Program("page.md:6", "x = 1\n\nprint(x)\n", []),
        Program("page.md:23", "await client.close()\n", ["client"]),
    ]
    assert [block.code for block in page.blocks if block.mode is None] == ["unmarked()\n"]
    assert page.links == ["other.md#top"]
    assert page.anchors == {"a-page--more", "a-page--more-1"}


def test_a_misspelled_mark_is_an_error() -> None:
    """A block with a misspelled mark is reported instead of silently not run."""
    page = Page("page.md", "<!-- run: agains-server -->\n```python\nx = 1\n```\n")

    with pytest.raises(ValueError, match=r"page\.md:2: only python blocks"):
        _ = page.programs
