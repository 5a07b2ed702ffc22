"""Every setting, command, path and port in the files under deploy/ exists."""

import importlib
import re
import shlex
import subprocess
from typing import Any

import pytest
import yaml

from checkout import ROOT
from live_server import PROGRAM

DEPLOY = ROOT / "deploy"
SETTINGS = {
    one.variable: one for one in importlib.import_module("prefactor_server.settings").SETTINGS
}


def instructions(stage: int) -> list[tuple[str, str]]:
    """The instructions of one stage of the container file, continued lines joined."""
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    found = [tuple(line.split(maxsplit=1)) for line in lines if line.strip()]
    starts = [index for index, (word, _) in enumerate(found) if word == "FROM"]
    return found[starts[stage] : [*starts[1:], len(found)][stage]]


def said(stage: int, word: str) -> list[str]:
    """Return the text of one kind of instruction."""
    return [rest for instruction, rest in instructions(stage) if instruction == word]


def image_variables() -> dict[str, str]:
    """The variables that the image sets."""
    return dict(entry.split("=", 1) for entry in said(1, "ENV"))


def compose() -> dict[str, Any]:
    """The compose file."""
    document: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return document


def servers() -> dict[str, Any]:
    """The services of the compose file that are ours."""
    return {
        name: service
        for name, service in compose()["services"].items()
        if service["image"] == "prefactor-server"
    }


def nginx() -> str:
    """The configuration of nginx, without comments."""
    text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    return re.sub(r"#.*", "", text)


def test_the_image_copies_the_output_of_make_dist() -> None:
    """The image copies the documented files, and none of them is ignored."""
    copied = [path for rest in said(0, "COPY") for path in shlex.split(rest)[:-1]]
    ignore = (DEPLOY / "Containerfile.dockerignore").read_text(encoding="utf-8").splitlines()

    assert copied == ["dist/requirements.txt", "dist/*.whl"]
    assert {line[1:] for line in ignore if line.startswith("!")} == set(copied)


def test_the_image_installs_as_the_documentation_says() -> None:
    """The image installs the dependencies with hashes, then the server from its wheels."""
    commands = [rest for rest in said(0, "RUN") if "pip install" in rest]

    assert len(commands) == 2
    assert commands[0].endswith("--require-hashes --requirement /dist/requirements.txt")
    assert commands[1].endswith("--no-index --find-links /dist prefactor-server")


def test_the_image_sets_existing_settings(tmp_path: Any) -> None:
    """Every variable of the image is a setting, and the server accepts the values."""
    variables = image_variables()
    ours = {name: value for name, value in variables.items() if name != "PATH"}

    assert set(ours) <= set(SETTINGS)
    shown = subprocess.run(
        [PROGRAM, "config", "show"], env=ours, capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stderr
    assert all(value in shown.stdout for value in ours.values())


def test_the_image_serves_on_the_exposed_port() -> None:
    """The exposed and probed port is the served one, and the data is in a volume."""
    variables = image_variables()
    port = variables["PREFACTOR_PORT"]
    (health,) = said(1, "HEALTHCHECK")
    (volume,) = said(1, "VOLUME")

    assert said(1, "EXPOSE") == [port]
    assert f"http://127.0.0.1:{port}/healthz" in health
    assert variables["PREFACTOR_DATABASE"].startswith(f"sqlite:///{volume}/")
    assert variables["PREFACTOR_HOST"] == "0.0.0.0"
    assert said(1, "USER") == ["prefactor"]


def test_the_image_starts_the_server_itself() -> None:
    """The first process is the server, so that it receives the signal and exits by itself."""
    assert said(1, "ENTRYPOINT") == ['["prefactor-server"]']
    assert said(1, "CMD") == ['["serve"]']
    assert said(1, "STOPSIGNAL") == ["SIGTERM"]
    assert PROGRAM.name == "prefactor-server"


def test_the_composition_is_two_servers_on_one_database() -> None:
    """Two services run our image with the same settings, on the database beside them."""
    services = compose()["services"]
    one, two = servers().values()

    assert one == two
    assert set(one["environment"]) <= set(SETTINGS)
    address = one["environment"]["PREFACTOR_DATABASE"]
    database = services["database"]["environment"]
    user, password, host, name = re.fullmatch(
        r"postgresql://(\w+):(\$\{.+\})@(\w+):5432/(\w+)", address
    ).groups()
    assert services[host] is services["database"]
    assert (user, name) == (database["POSTGRES_USER"], database["POSTGRES_DB"])
    assert password == database["POSTGRES_PASSWORD"]
    assert (DEPLOY / one["build"]["context"] / one["build"]["dockerfile"]).is_file()


def test_no_secret_is_in_the_files() -> None:
    """Passwords and tokens come from the environment, and a missing one is an error."""
    for service in compose()["services"].values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|TOKEN", name):
                assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), name


def test_a_container_has_time_to_finish() -> None:
    """The engine waits longer for a stop than the server takes to drain."""
    grace = importlib.import_module("prefactor_server.app")._GRACE_SECONDS

    for service in servers().values():
        assert int(service["stop_grace_period"].removesuffix("s")) > grace


def test_the_proxy_knows_the_servers() -> None:
    """Nginx passes requests to every server of the composition, and to nothing else."""
    port = image_variables()["PREFACTOR_PORT"]
    proxy = compose()["services"]["proxy"]
    named = re.findall(r"^\s*server (\S+) ", nginx(), re.MULTILINE)

    assert sorted(named) == sorted(f"{name}:{port}" for name in servers())
    assert set(proxy["depends_on"]) == set(servers())
    assert proxy["volumes"][0].partition(":")[0] == "./nginx.conf"
    assert "proxy_pass http://prefactor;" in nginx()
    assert nginx().count("{") == nginx().count("}")


def test_the_proxy_lets_the_server_refuse_large_bodies() -> None:
    """Nginx accepts a little more than the server does, so that the server answers."""
    (size,) = re.findall(r"client_max_body_size (\d+)m;", nginx())
    limit = SETTINGS["PREFACTOR_MAX_REQUEST_BYTES"].default

    assert limit < int(size) * 1024 * 1024 < 2 * limit


def test_the_proxy_keeps_the_metrics_inside() -> None:
    """Outside clients reach only the API, the pages and the readiness probe."""
    places = re.findall(r"location (.+?) \{", nginx())

    assert places == ["/api/", "= /readyz", "/"]


def kubernetes() -> tuple[dict[str, Any], dict[str, Any]]:
    """The deployment and the service for Kubernetes."""
    text = (DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8")
    deployment, service = yaml.safe_load_all(text)
    return deployment, service


def test_the_service_leads_to_the_pods() -> None:
    """The service, the probes and the pods agree on labels and on the port of the image."""
    deployment, service = kubernetes()
    template = deployment["spec"]["template"]
    (container,) = template["spec"]["containers"]
    (port,) = container["ports"]

    assert str(port["containerPort"]) == image_variables()["PREFACTOR_PORT"]
    assert service["spec"]["ports"][0]["targetPort"] == port["name"]
    assert service["spec"]["selector"] == template["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == template["metadata"]["labels"]
    probes = {
        kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")
    }
    assert {kind: probe["path"] for kind, probe in probes.items()} == {
        "startup": "/healthz",
        "readiness": "/readyz",
        "liveness": "/healthz",
    }
    assert {probe["port"] for probe in probes.values()} == {port["name"]}


def test_a_pod_has_settings_and_time_to_finish() -> None:
    """Its variables are settings, none comes from a service, and it may drain and finish."""
    pod = kubernetes()[0]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    variables = {one["name"]: one["value"] for one in container["env"]}
    grace = importlib.import_module("prefactor_server.app")._GRACE_SECONDS

    assert set(variables) <= set(SETTINGS)
    assert pod["enableServiceLinks"] is False
    drain = int(variables["PREFACTOR_DRAIN_SECONDS"])
    assert pod["terminationGracePeriodSeconds"] > drain + grace
    readiness = container["readinessProbe"]
    assert readiness["periodSeconds"] * readiness["failureThreshold"] < drain
    assert pod["securityContext"]["runAsUser"] == int(
        re.findall(r"--uid (\d+)", said(1, "RUN")[0])[0]
    )


def test_the_secret_of_the_page_has_settings() -> None:
    """The page and the file create the same secret, of settings that exist."""
    page = (ROOT / "docs/how-to/run-on-kubernetes.md").read_text(encoding="utf-8")
    file = (DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8")
    secrets = [re.findall(r"--from-literal=(\w+)=", text) for text in (page, file)]

    assert secrets[0] == secrets[1] != []
    assert set(secrets[0]) <= set(SETTINGS)


COMMANDS = [
    command
    for page in ("run-in-containers", "run-on-kubernetes")
    for command in re.findall(
        r"exec (?:prefactor|deployment/prefactor --) (prefactor-server .+)",
        (ROOT / "docs" / "how-to" / f"{page}.md").read_text(encoding="utf-8"),
    )
]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_page_names_existing_commands(command: str) -> None:
    """A command that the page runs inside a container exists, with its options."""
    words = [word for word in shlex.split(command)[1:] if re.fullmatch(r"[a-z]+", word)]
    shown = subprocess.run([PROGRAM, *words, "--help"], capture_output=True, text=True, check=False)

    assert shown.returncode == 0
    assert f"prefactor-server {' '.join(words)}" in shown.stdout
