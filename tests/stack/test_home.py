"""The state folder: ports, secrets, the lock."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from stack.home import LONGEST_SOCKET_PATH, Home, Lock, StackError


def test_a_port_is_the_same_at_every_start(home: Home) -> None:
    first = home.port("api")
    assert first == Home(home.path).port("api") == home.read("ports.json")["api"]
    assert home.port("temporal") != first


def test_a_remembered_port_that_somebody_took_is_given_up(home: Home) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", home.port("api")))
        other.listen()
        assert home.port("api") != other.getsockname()[1]


def test_a_named_port_is_used_and_refused_when_taken(home: Home) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(StackError, match="is taken by another program"):
            home.port("api", other.getsockname()[1])
    free = home.port("temporal")
    assert home.port("api", free) == free


def test_secrets_are_made_once_and_readable_by_their_owner_alone(home: Home) -> None:
    home.prepare()
    seal = home.make_secret("seal_key")
    home.prepare()
    assert home.make_secret("seal_key") == seal and len(seal) >= 32
    assert home.secret_path("seal_key").stat().st_mode & 0o777 == 0o600
    assert home.secret_path("seal_key").parent.stat().st_mode & 0o777 == 0o700


def test_only_one_holds_the_lock_of_a_state_folder(home: Home) -> None:
    first, second = Lock(home), Lock(home)
    assert first.take() and not second.take()
    first.release()
    assert second.take()
    second.release()


def test_a_deep_state_folder_still_has_a_control_socket_the_system_accepts(tmp_path: Path) -> None:
    deep = Home(tmp_path / ("deep" * 40))
    assert len(str(deep.control_socket)) <= LONGEST_SOCKET_PATH
    assert deep.control_socket != Home(tmp_path / ("deep" * 41)).control_socket


def test_a_fresh_start_keeps_the_old_state_and_the_secrets(home: Home) -> None:
    home.prepare()
    seal = home.make_secret("seal_key")
    home.folder("postgres")
    home.write("temporal-store.json", {"kind": "built"})
    aside = home.set_aside()
    assert aside is not None and (aside / "postgres").is_dir() and (aside / "temporal-store.json").exists()
    assert home.read("temporal-store.json") == {} and home.make_secret("seal_key") == seal
