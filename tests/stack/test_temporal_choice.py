"""Which Temporal server a start takes, and that a state folder keeps to the one it began with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stack import temporal, temporal_config, temporal_programs
from stack.home import Home, StackError
from stack.part import Part
from stack.temporal_programs import PROGRAMS, NoBuild, Progress, TemporalPrograms
from workers.settings import EnvironmentSettings


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def settings(home: Home, cache: Path, temporal_address: str = "") -> EnvironmentSettings:
    return EnvironmentSettings(home=home.path, cache=cache, temporal_address=temporal_address)


def put_programs(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name in PROGRAMS:
        (folder / name).write_text("#!/bin/sh\n", encoding="utf-8")
        (folder / name).chmod(0o755)


async def no_run(part: Part, told: Progress) -> None:
    raise StackError("this machine cannot build")


def quiet(_: str) -> None:
    pass


async def test_a_named_server_comes_first(home: Home, cache: Path) -> None:
    put_programs(cache / "temporal" / temporal_programs.key())
    named = settings(home, cache, temporal_address="temporal.example:7233")
    assert (await temporal.choose(home, named, None, no_run, quiet)).kind == "named"


async def test_our_cached_build_comes_before_everything_on_the_machine(home: Home, cache: Path) -> None:
    put_programs(cache / "temporal" / temporal_programs.key())
    choice = await temporal.choose(home, settings(home, cache), None, no_run, quiet)
    assert choice.kind == "built" and choice.store == "sqlite"


async def test_a_half_built_cache_is_not_taken(cache: Path) -> None:
    folder = cache / "temporal" / temporal_programs.key()
    put_programs(folder)
    (folder / "temporal-ui").unlink()
    assert TemporalPrograms(cache, no_run, quiet).cached() is None


async def test_the_programs_are_built_one_by_one_and_then_found(home: Home, cache: Path) -> None:
    commands: list[Part] = []
    told: list[str] = []

    async def build(part: Part, progress: Progress) -> None:
        commands.append(part)
        progress("0:01 go.temporal.io/server/api")
        output = Path(part.argv[part.argv.index("-o") + 1])
        output.write_text("#!/bin/sh\n", encoding="utf-8")
        output.chmod(0o755)

    choice = await temporal.choose(home, settings(home, cache), None, build, told.append)
    assert choice.programs is not None and choice.programs.complete
    assert [part.argv[-1] for part in commands] == list(PROGRAMS.values())
    assert all(part.env["GOFLAGS"] == "-mod=readonly" for part in commands)
    assert told[0] == "building temporal-server (1 of 3, once on this machine): 0:01 go.temporal.io/server/api"
    again = await temporal.choose(home, settings(home, cache), None, no_run, quiet)
    assert again.programs == choice.programs


async def test_where_nothing_can_be_built_the_command_line_server_is_taken(
    home: Home, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = tmp_path / "temporal"
    found.write_text("#!/bin/sh\n", encoding="utf-8")
    found.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(TemporalPrograms, "build", _cannot_build)
    told: list[str] = []
    choice = await temporal.choose(home, settings(home, cache), None, no_run, told.append)
    assert choice.kind == "cli" and choice.cli == found
    assert told == ["Temporal cannot be built here: no Go"]
    local = temporal.LocalTemporal(
        home, choice, settings(home, cache), None, time_skipping=True, switches={"some.time": "10ms"}
    )
    (server,) = local.parts(settings(home, cache, temporal_address=local.address))
    assert "frontend.WorkflowTimeSkippingEnabled=true" in server.argv
    assert 'some.time="10ms"' in server.argv, "the server reads each as JSON"
    assert str(home.path / "temporal" / "cli.db") in server.argv


async def _cannot_build(_: TemporalPrograms) -> None:
    raise NoBuild("no Go")


async def test_a_state_folder_is_never_opened_by_another_kind(home: Home, cache: Path) -> None:
    put_programs(cache / "temporal" / temporal_programs.key())
    local = settings(home, cache)
    choice = await temporal.choose(home, local, None, no_run, quiet)
    temporal.record(home, choice, "1.32.1")
    await temporal.choose(home, local, None, no_run, quiet)
    with pytest.raises(StackError, match=r"started with our own build.*fascia up --fresh"):
        await temporal.choose(home, settings(home, cache, temporal_address="other:7233"), None, no_run, quiet)
    home.set_aside()
    await temporal.choose(home, settings(home, cache, temporal_address="other:7233"), None, no_run, quiet)


async def test_a_state_folder_is_never_opened_on_another_store(home: Home, cache: Path) -> None:
    put_programs(cache / "temporal" / temporal_programs.key())
    home.write(temporal.RECORD, {"kind": "built", "store": "postgresql, visibility sqlite", "server": "1.32.1"})
    with pytest.raises(StackError, match=r"store: postgresql.*store: sqlite.*fascia up --fresh"):
        await temporal.choose(home, settings(home, cache), None, no_run, quiet)


@pytest.mark.parametrize(("version", "taken"), [("1.32.0", True), ("1.32.1-beta.2", True), ("1.31.9", False)])
def test_only_a_server_new_enough_is_taken(version: str, taken: bool) -> None:
    if taken:
        temporal.check_version(version)
        return
    with pytest.raises(StackError, match=r"needs 1\.32\.0 or later"):
        temporal.check_version(version)


def test_every_server_of_ours_listens_on_loopback_alone(tmp_path: Path) -> None:
    ports = temporal_config.ServerPorts(
        grpc=dict.fromkeys(temporal_config.SERVICES, 1), membership=dict.fromkeys(temporal_config.SERVICES, 2), http=3
    )
    config = temporal_config.server(tmp_path, ports, None, tmp_path / "dynamic.yaml")
    assert {service["rpc"]["bindOnIP"] for service in config["services"].values()} == {"127.0.0.1"}
    assert temporal_config.web_ui("127.0.0.1:1", 2, "fascia")["host"] == "127.0.0.1"


def test_a_file_with_the_stores_password_is_its_owners_alone(tmp_path: Path) -> None:
    path = temporal_config.write(tmp_path / "server.yaml", {"password": "x"})
    assert path.stat().st_mode & 0o777 == 0o600 and json.loads(path.read_text(encoding="utf-8")) == {"password": "x"}
