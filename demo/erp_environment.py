"""The hospital's ERP gets a Python environment of its own, made once and kept, because its licence and versions are its own.

Everything made here lies in the cache folder under a key over what it was made from: the locked requirements, the list
of modules and our key module. Change one of them and the next start makes a new one beside the old.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

RECIPE = Path(__file__).resolve().parent.parent / "deploy" / "tryton"
KEY_MODULE = RECIPE / "fascia_key"

Say = Callable[[str], None]


class ErpStartError(Exception):
    """The ERP cannot be started; the text says what went wrong and where to look."""


def cache_folder() -> Path:
    """Where things that are dear to make are kept between starts."""
    if named := os.environ.get("FASCIA_CACHE"):
        return Path(named).expanduser() / "erp"
    base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return base / "fascia" / "erp"


def content_key(*paths: Path, also: str = "") -> str:
    """A short name for the content of files and folders."""
    digest = hashlib.sha256(also.encode())
    for path in paths:
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in (f for f in files if "__pycache__" not in f.parts):
            digest.update(file.relative_to(path.parent).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def recipe_key() -> str:
    """Names the ERP's programs and empty database: which releases, modules and Python."""
    version = "{}.{}".format(*sys.version_info)
    return content_key(RECIPE / "requirements.txt", RECIPE / "modules.txt", KEY_MODULE, also=version)


def modules() -> list[str]:
    """The ERP's modules that the hospital uses."""
    return (RECIPE / "modules.txt").read_text(encoding="utf-8").split()


@contextmanager
def one_at_a_time(name: str) -> Iterator[None]:
    """Two starts at once make a thing once: the second waits and finds it."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def program(name: str) -> Path:
    """A program of the ERP's environment."""
    return environment_folder() / "bin" / name


def environment_folder() -> Path:
    return cache_folder() / f"env-{recipe_key()}"


def make_environment(say: Say) -> None:
    """Make the environment, unless it is there."""
    ready = environment_folder() / ".ready"
    if ready.exists():
        return
    with one_at_a_time("env"):
        if ready.exists():
            return
        say("installing the ERP (Tryton 8.2, about 20 s, once)")
        shutil.rmtree(environment_folder(), ignore_errors=True)
        venv.create(environment_folder(), with_pip=True)
        _install("--require-hashes", "--requirement", str(RECIPE / "requirements.txt"))
        with tempfile.TemporaryDirectory() as scratch:  # the build leaves files beside its source
            copy = shutil.copytree(KEY_MODULE, Path(scratch) / "fascia_key")
            _install("--no-deps", "--no-build-isolation", "--no-index", str(copy))
        ready.touch()


def _install(*what: str) -> None:
    pip = [str(program("python")), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what]
    run(pip, "installing the ERP failed")


def run(command: list[str], problem: str, *, env: dict[str, str] | None = None, stdin: str = "") -> str:
    """Run a program to its end and return what it wrote.

    Raises:
        ErpStartError: it failed; with the last lines it wrote.
    """
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, input=stdin, env={**os.environ, **(env or {})}
    )
    if done.returncode:
        last = "\n".join((done.stderr or done.stdout).splitlines()[-8:])
        raise ErpStartError(f"{problem}: {Path(command[0]).name} ended with {done.returncode}\n{last}")
    return done.stdout
