"""Where a setting comes from, and that no secret shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workers.settings import EnvironmentSettings, Settings, load

ADDRESSES = {
    "FASCIA_DATABASE_URL": "postgresql+asyncpg://fascia@127.0.0.1:5433/fascia",
    "TEMPORAL_ADDRESS": "127.0.0.1:7233",
    "FASCIA_API_PORT": "8181",
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (*ADDRESSES, "FASCIA_HOME", "TEMPORAL_API_KEY", "TEMPORAL_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "addresses.json").write_text(json.dumps(ADDRESSES), encoding="utf-8")
    (tmp_path / "secrets").mkdir()
    return tmp_path


def test_the_local_stacks_addresses_fill_what_the_environment_leaves_open(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load(home).temporal_address == "127.0.0.1:7233" and load(home).api_url == "http://127.0.0.1:8181"
    monkeypatch.setenv("TEMPORAL_ADDRESS", "temporal.example:7233")
    monkeypatch.setenv("FASCIA_API_PORT", "9090")
    assert load(home).temporal_address == "temporal.example:7233" and load(home).api_port == 9090
    monkeypatch.setenv("FASCIA_HOME", str(home))
    assert load() == load(home)


def test_the_supervisor_does_not_take_its_own_last_addresses_for_named_servers(home: Path) -> None:
    assert EnvironmentSettings(home=home).temporal_address == ""
    assert EnvironmentSettings(home=home).database_url.get_secret_value() == ""


def test_a_password_comes_from_its_file_and_shows_nowhere(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "secrets" / "database_password").write_text("pass/word@1\n", encoding="utf-8")
    settings = load(home)
    assert (
        settings.database_url.get_secret_value() == "postgresql+asyncpg://fascia:pass%2Fword%401@127.0.0.1:5433/fascia"
    )
    assert "word" not in (repr(settings) + str(settings.model_dump())).replace(str(home), "")
    elsewhere = home / "mounted"
    elsewhere.write_text("other", encoding="utf-8")
    monkeypatch.setenv("FASCIA_DATABASE_PASSWORD_FILE", str(elsewhere))
    assert ":other@" in load(home).database_url.get_secret_value()


def test_a_secret_that_is_not_there_is_none(home: Path) -> None:
    assert load(home).seal_key is None
    (home / "secrets" / "seal_key").write_text("k" * 32, encoding="utf-8")
    key = load(home).seal_key
    assert key is not None and key.get_secret_value() == "k" * 32


def test_temporal_is_reached_in_the_clear_unless_tls_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(home).temporal_connection() == {"target_host": "127.0.0.1:7233", "namespace": "fascia"}
    certificate = home / "client.pem"
    certificate.write_bytes(b"certificate")
    monkeypatch.setenv("TEMPORAL_TLS_CLIENT_CERT_PATH", str(certificate))
    monkeypatch.setenv("TEMPORAL_API_KEY", "temporal-key")
    options = load(home).temporal_connection()
    assert options["tls"].client_cert == b"certificate" and options["api_key"] == "temporal-key"
    assert "temporal-key" not in repr(load(home))


def test_the_cache_follows_the_machines_custom(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FASCIA_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    assert Settings(home=home).cache == home / "cache" / "fascia"
    monkeypatch.setenv("FASCIA_CACHE", str(home / "named"))
    assert Settings(home=home).cache == home / "named"
