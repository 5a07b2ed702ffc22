"""What `make dist` builds can be installed outside the checkout, and works there."""

import email.parser
import os
import re
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest

from checkout import ROOT, packages
from clean_environment import Environment, build
from live_server import LiveServer, start_server
from pages import read

OURS = {package.name: package.name.replace("-", "_") for package in packages()}
NEEDED = "import venv, sys; assert sys.version_info >= (3, 11)"
# Another project's library, which asks for a `prefactor-http` of 0.4.3 or later.
OTHER_LIBRARY = "prefactor-core"


def pythons() -> dict[str, Path]:
    """Return every usable Python: on the PATH, or beside this one."""
    folders = [Path(sys.base_prefix, "bin"), *map(Path, os.get_exec_path())]
    folders += sorted(Path(sys.base_prefix).parent.glob("*/bin"))
    found: dict[str, Path] = {}
    for minor in range(11, 20):
        for folder in folders:
            python = folder / f"python3.{minor}"
            if f"3.{minor}" not in found and python.is_file() and usable(python):
                found[f"3.{minor}"] = python
    return found


def usable(python: Path) -> bool:
    """Whether an interpreter starts, and can make environments."""
    ended = subprocess.run([python, "-c", NEEDED], capture_output=True, check=False)
    return ended.returncode == 0


PYTHONS = pythons()
OLDEST_AND_NEWEST = sorted({min(PYTHONS), max(PYTHONS)})  # the versions in between can do both


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of `make dist`."""
    return build(tmp_path_factory.mktemp("dist"))


def metadata(wheel: Path) -> Message:
    """The metadata of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.parser.Parser().parsestr(archive.read(name).decode())


def wheels(dist: Path) -> Iterator[tuple[str, Path]]:
    """Each of our packages with its wheel."""
    for name, module in OURS.items():
        (wheel,) = dist.glob(f"{module}-*.whl")
        yield name, wheel


def test_builds_are_reproducible(dist: Path, tmp_path: Path) -> None:
    """Building again gives every archive, and every list, byte for byte."""
    again = build(tmp_path)

    names = sorted(path.name for path in dist.iterdir())
    assert names == sorted(path.name for path in again.iterdir())
    assert len(names) == 2 * len(OURS) + 3
    assert [
        name for name in names if (dist / name).read_bytes() != (again / name).read_bytes()
    ] == []


def test_a_wheel_has_its_metadata(dist: Path) -> None:
    """Licence, author, addresses, systems, typing and README are in every wheel."""
    for name, wheel in wheels(dist):
        told = metadata(wheel)
        classifiers = told.get_all("Classifier") or []
        with zipfile.ZipFile(wheel) as archive:
            files = archive.namelist()

        assert (told["Name"], told["License-Expression"]) == (name, "MIT")
        assert told["Author"]
        assert {"Homepage", "Documentation", "Changelog"} == {
            url.partition(",")[0] for url in told.get_all("Project-URL") or []
        }
        assert {"Operating System :: POSIX :: Linux", "Operating System :: MacOS"} <= {*classifiers}
        assert f"{OURS[name]}/py.typed" in files
        assert any(file.endswith("/licenses/LICENSE") for file in files)
        assert str(told.get_payload()).startswith(f"# {name}\n")


def test_the_wheel_of_the_server_has_the_pages(dist: Path) -> None:
    """The wheel of the server has the built pages, with their scripts and styles."""
    (wheel,) = dist.glob("prefactor_server-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        files = set(archive.namelist())
        page = archive.read("prefactor_server/pages/index.html").decode()

    named = re.findall(r'(?:src|href)="\./([^"]+)"', page)
    assert len(named) >= 3
    assert {f"prefactor_server/pages/{name}" for name in named} <= files


def test_the_classifiers_match_the_supported_pythons(dist: Path) -> None:
    """The classifiers name no Python below the minimum, and they name the running one."""
    for _, wheel in wheels(dist):
        named = re.findall(
            r":: (3\.\d+)$", "\n".join(metadata(wheel).get_all("Classifier") or []), re.MULTILINE
        )
        assert "3.11" in named
        assert all(int(version[2:]) >= 11 for version in named)


def test_a_readme_has_no_link_into_the_repository(dist: Path) -> None:
    """No link of a package's README needs a file of the checkout."""
    for _, wheel in wheels(dist):
        assert re.findall(r"\]\((?!https?://)[^)]*\)", str(metadata(wheel).get_payload())) == []


def test_the_address_of_the_project_can_be_given(tmp_path: Path) -> None:
    """With a home address, the metadata names it and the README's links lead there."""
    home = "https://code.example.org/team/prefactor"
    told = [metadata(wheel) for _, wheel in wheels(build(tmp_path, "--home", home))]

    assert all(f"Homepage, {home}" in (one.get_all("Project-URL") or []) for one in told)
    assert not any("prefactor.example" in one.as_string() for one in told)
    links = [link for one in told for link in re.findall(r"\]\((.*?)\)", str(one.get_payload()))]
    assert f"{home}/blob/v{told[0]['Version']}/docs/how-to/run-the-server.md" in links


def test_every_package_carries_the_licence() -> None:
    """A package that is built by itself has the repository's licence, word for word."""
    licence = (ROOT / "LICENSE").read_bytes()

    assert all((package / "LICENSE").read_bytes() == licence for package in packages())


def test_a_source_distribution_is_complete(dist: Path) -> None:
    """Every module of a package, its README and its licence are in the archive."""
    for package in packages():
        (sdist,) = dist.glob(f"{OURS[package.name]}-*.tar.gz")
        with tarfile.open(sdist) as archive:
            held = {name.partition("/")[2] for name in archive.getnames()}
        modules = {str(path.relative_to(package)) for path in package.glob("src/**/*.py")}
        assert modules | {"README.md", "LICENSE", "pyproject.toml"} <= held


def test_the_lists_pin_the_tested_versions(dist: Path) -> None:
    """The lists name our packages and the tested version of every dependency and extra."""
    constraints = (dist / "constraints.txt").read_text(encoding="utf-8")
    requirements = (dist / "requirements.txt").read_text(encoding="utf-8")
    pinned = set(re.findall(r"^([\w.-]+)==", constraints, re.MULTILINE))
    hashed = set(re.findall(r"^([\w.-]+)==", requirements, re.MULTILINE))

    assert hashed <= pinned
    assert {*OURS, "aiohttp", "starlette", "langchain-core", "openai-agents"} <= pinned
    assert {"aiohttp", "starlette", "orjson"} <= hashed
    # Tools for building and testing are not for users.
    assert {"hatchling", "editables", "pytest"} & pinned == set()
    assert "://" not in constraints + requirements


def hello() -> str:
    """The first program of the README."""
    return read(ROOT / "README.md").programs[0].code


@pytest.mark.timeout(600)
@pytest.mark.parametrize("version", OLDEST_AND_NEWEST)
def test_the_wheels_work_outside_of_the_checkout(version: str, dist: Path, tmp_path: Path) -> None:
    """Installed as documented, the README's program runs against the installed server.

    It still does after another project's library that asks for `prefactor-http` was installed: pip
    keeps our package, and reports nothing missing.
    """
    environment = Environment(tmp_path / "environment", PYTHONS[version])
    environment.install(dist, "prefactor-cli", "prefactor-recorder", "prefactor-server")
    environment.pip("check")
    server = start_server(tmp_path, program=environment.program("prefactor-server"))
    try:
        assert says_hello(environment, server)
        assert shows_run(environment, server)
        with urllib.request.urlopen(server.url) as page:  # noqa: S310 - our own server
            assert b'<div id="app">' in page.read()
        environment.pip("install", "--no-compile", OTHER_LIBRARY)
        environment.pip("check")
        show = "import importlib.metadata as m; print(m.version('prefactor-http'))"
        assert environment.run("-c", show).strip() == metadata(next(wheels(dist))[1])["Version"]
        assert says_hello(environment, server)
    finally:
        server.stop()


def shows_run(environment: Environment, server: LiveServer) -> bool:
    """Whether the installed command line shows the run of the README's program."""
    shown = subprocess.run(
        [environment.program("prefactor"), "runs", "show"],
        env=environment.variables | server.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return "└─ ✓ hello:greet  Ada → Hello, Ada!" in shown.stdout


def says_hello(environment: Environment, server: LiveServer) -> bool:
    """Whether the README's program ends with the documented line."""
    (environment.folder / "hello.py").write_text(hello(), encoding="utf-8")
    reach = {name: server.environment[name] for name in server.environment if "PREFACTOR" in name}
    told = environment.run("-W", "error", "hello.py", **reach)
    return told.splitlines()[-1] == "complete Ada → Hello, Ada!"


@pytest.mark.timeout(600)
def test_a_source_distribution_builds_its_wheel_by_itself(dist: Path, tmp_path: Path) -> None:
    """An unpacked source distribution builds the same wheel as `make dist`."""
    for name, wheel in wheels(dist):
        (sdist,) = dist.glob(f"{OURS[name]}-*.tar.gz")
        with tarfile.open(sdist) as archive:
            # Python 3.11 before 3.11.4 has no filter, and needs none for an archive of our own.
            archive.extraction_filter = getattr(tarfile, "data_filter", None)
            archive.extractall(tmp_path)  # noqa: S202
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path]
        folder = tmp_path / sdist.name.removesuffix(".tar.gz")
        subprocess.run(command, cwd=folder, check=True, capture_output=True)

        assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()
