"""Rules about the checkout as a whole: locks, tests, scripts, and files that must not exist."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from checkout import ROOT, files, packages, short

LOCKS = sorted(ROOT.glob("requirements/*.txt"))
SCRIPTS = sorted(path for path in ROOT.glob("scripts/*") if path.suffix != ".md")

REVEALING = {
    # Only lock files would contain these.
    "the address of a package registry": r"files[.]pythonhosted|pypi[.]org/simple|registry[.]npmjs",
    # The user name "you" is allowed: it stands for the reader.
    "a path on somebody's machine": r"(?<![\w.])/(?:home|Users)/(?!you\b)\w|(?<![\w.])/[r]oot/",
    "a credential": r"\b(?:ghp_|github_pat_|glpat-|xox[bp]-|AKIA)[A-Za-z0-9_-]{12}"
    r"|BEGIN (?:RSA |EC |OPENSSH )?PRIVATE KEY",
}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_has_no_address(lock: Path) -> None:
    """A lock names no host, index or folder, so it means the same on any network."""
    text = lock.read_text(encoding="utf-8")

    assert "://" not in text
    assert re.findall(r"^--?\w.*", text, re.MULTILINE) == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_pin_of_a_lock_has_a_hash(lock: Path) -> None:
    """Each requirement of a lock is one exact version with at least one SHA-256."""
    text = re.sub(r"^ *#.*\n", "", lock.read_text(encoding="utf-8"), flags=re.MULTILINE)
    requirements = re.split(r"\n(?=\S)", text.strip())

    pin = re.compile(
        r"[\w.-]+==\S+(?: ;[^\\]+)? \\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n?)+"
    )
    assert requirements
    assert [entry for entry in requirements if not pin.fullmatch(entry)] == []


def test_the_locks_match_their_sources() -> None:
    """Each lock matches the requirements that `make lock` resolved."""
    command = [sys.executable, ROOT / "scripts" / "lock", "--check"]
    check = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (check.returncode, check.stderr) == (0, ""), check.stdout


def test_locks_with_registry_addresses_are_not_committed() -> None:
    """Lock files of tools that write registry addresses into them are not committed."""
    names = {"uv.lock", "poetry.lock", "pdm.lock", "yarn.lock"}
    recording = {short(path) for path in files() if path.name in names}
    # npm's lock records no address where web/.npmrc tells it not to.
    npm = [path for path in files() if path.name == "package-lock.json"]
    recording |= {short(path) for path in npm if '"resolved"' in path.read_text("utf-8")}

    assert recording | {short(path) for path in files() if path.name.startswith("pylock")} == set()


@pytest.mark.parametrize("what", REVEALING)
def test_no_file_reveals(what: str) -> None:
    """No file of the project contains data of one machine or one person."""
    found = [
        f"{short(path)}:{number}"
        for path in files()
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if re.search(REVEALING[what], line) or (what.startswith("a path") and names_us(line))
    ]

    assert found == [], f"these lines hold {what}"


def names_us(line: str) -> bool:
    """Whether a line holds the path of this very checkout (unless that is as short as /app)."""
    return len(ROOT.parts) > 2 and f"{ROOT}/" in line


def test_a_revealing_line_is_noticed() -> None:
    """The patterns above find what they should, and ignore examples."""
    slash = "/"
    assert re.search(REVEALING["a path on somebody's machine"], f"cd {slash}home/ann/work")
    assert re.search(REVEALING["a path on somebody's machine"], f"{slash}root/.venv")
    assert not re.search(REVEALING["a path on somebody's machine"], "docs/root/index.md")
    assert re.search(REVEALING["the address of a package registry"], "files." + "pythonhosted.org")
    assert re.search(REVEALING["a credential"], "ghp" + "_0123456789abcdef")
    assert names_us(f"see {ROOT}/README.md")


def test_every_package_has_the_same_version() -> None:
    """All packages have one version, because they are released together."""
    versions = {
        version
        for package in packages()
        for path in package.glob("src/*/_version.py")
        for version in re.findall(r'__version__ = "(.+)"', path.read_text(encoding="utf-8"))
    }

    assert len(versions) == 1, versions


def test_packages_require_each_other_in_the_same_version() -> None:
    """Each of our packages requires the others in exactly its own version."""
    names = {package.name for package in packages()}
    asked = [
        needed
        for package in packages()
        for needed in requirements_of(package)
        if re.split(r"[^\w-]", needed)[0] in names
    ]

    assert asked
    assert [needed for needed in asked if not needed.endswith(f"=={version()}")] == []


def test_the_changelog_describes_this_version() -> None:
    """The current version has a section with a date."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    assert re.search(rf"^## \[{re.escape(version())}\] - \d{{4}}-\d\d-\d\d$", text, re.MULTILINE)


def requirements_of(package: Path) -> list[str]:
    """Return everything that a package requires, extras included."""
    project = tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project.get("optional-dependencies", {}).values()
    return project["dependencies"] + [needed for extra in extras for needed in extra]


def version() -> str:
    """The one version, as the first of the packages has it."""
    text = next(packages()[0].glob("src/*/_version.py")).read_text(encoding="utf-8")
    return re.findall(r'__version__ = "(.+)"', text)[0]


def test_every_package_is_marked_as_typed() -> None:
    """Users' type checkers can rely on each package's annotations."""
    untyped = [short(package) for package in packages() if not [*package.glob("src/*/py.typed")]]

    assert untyped == []


def test_every_script_is_runnable_and_listed() -> None:
    """Each script is executable, and scripts/README.md describes it in one line."""
    text = (ROOT / "scripts" / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\* `(\w+)`", text, re.MULTILINE)

    assert listed == sorted(listed)
    assert listed == [path.name for path in SCRIPTS if path.is_file()]
    assert [
        path.name for path in SCRIPTS if path.is_file() and not path.stat().st_mode & 0o100
    ] == []


def test_every_target_is_one_script() -> None:
    """Each target of the Makefile runs one script, which exists, and `make help` names them all."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    rules = re.findall(r"^([a-z]+):.*## .*\n((?:\t.*\n)+)", text, re.MULTILINE)
    targets = {name: re.findall(r"(?:\$\(RUN\)|scripts)/(\w+)", recipe) for name, recipe in rules}
    phony = re.findall(r"^\.PHONY: (.*)", text, re.MULTILINE)

    assert targets == {name: [name] for name in phony[0].split()}
    assert set(targets) <= {path.name for path in SCRIPTS}
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.findall(r"^make (\w+) ", shown.stdout, re.MULTILINE) == list(targets)


def test_ci_runs_the_documented_targets() -> None:
    """CI runs the two make targets that contributors run, and nothing else."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    commands = [line for line in script.splitlines() if line and not line.startswith("#")]

    assert [line for line in commands if "make" in line] == [commands[-1]]
    assert re.findall(r"make .*?(check) (test)\b", commands[-1]) == [("check", "test")]


TEST_FILES = [
    path for path in files(".py") if path.name.startswith("test_") and "tests" in path.parts
]


def written_tests(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return the test functions of a module, including those in classes."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                if name.startswith("test"):
                    yield node
            case _:
                pass


def opens_with_a_sentence(test: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a test's docstring begins with a paragraph that is a sentence."""
    opening = (ast.get_docstring(test) or "").partition("\n\n")[0]
    return len(opening.split()) > 2 and opening.endswith(".")


def silencers(tree: ast.Module) -> Iterator[int]:
    """Return the lines that make tests skip instead of passing or failing."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr="skip" | "skipif" | "importorskip" | "SkipTest" | "skipTest"):
                yield node.lineno
            case _:
                pass


def test_every_test_opens_with_the_sentence_that_it_proves() -> None:
    """Every test's docstring begins with a sentence, so a failure names the broken promise."""
    speechless = [
        f"{short(path)}:{test.lineno} {test.name}"
        for path in TEST_FILES
        for test in written_tests(ast.parse(path.read_text(encoding="utf-8")))
        if not opens_with_a_sentence(test)
    ]

    assert speechless == []


def test_no_test_skips() -> None:
    """A test whose needs are not met fails and says how to meet them."""
    skipping = [
        f"{short(path)}:{line}"
        for path in TEST_FILES
        for line in silencers(ast.parse(path.read_text(encoding="utf-8")))
    ]

    assert skipping == []


def test_a_silent_test_is_noticed() -> None:
    """The two rules above see tests in classes, coroutines, and every way to skip."""
    tree = ast.parse(
        "class TestA:\n"
        "    async def test_b(self): pass\n"
        "def test_c():\n"
        "    '''Todo.'''\n"
        "    pytest.skip('later')\n"
        "@pytest.mark.skipif(True)\n"
        "def test_d():\n"
        "    '''It says what it proves.'''\n"
    )

    assert [opens_with_a_sentence(test) for test in written_tests(tree)].count(True) == 1
    assert sorted(silencers(tree)) == [5, 6]
