"""The people's side of the stage: accounts, schedule, EHR and the sources that verify, and how the platform reaches each of them.

The programs run under the supervisor like every other part; their rows of the register get the ports and token files of this home.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from demo.partner import HOST
from demo.partner_script import SEED
from demo.people_made import LEIE_COLUMNS, registry_folder
from demo.stage_parts import all_listen, forget_another_hospital, given_port, listener
from stack.part import Part, own_program
from stack.supervisor import Stack

ACCOUNTS, SCHEDULING, EHR, REGISTRIES = "accounts", "scheduling", "ehr", "registries"
HR, STAFF_OFFICE, COMMITTEE = "E-4001", "E-4101", ("E-4201", "E-4202", "E-4203")
OFFICE: Final = (HR, STAFF_OFFICE, *COMMITTEE)
"""Who acts for HR, the medical staff office and the credentials committee. No person here exists."""
HOOK, DESK, FILES, HRIS, ASKED = "hr-hook", "hr-desk", "hr-files", "HRIS", "HR"
ASKED_SOURCE: Final = "hr-database"  # what the register calls the system behind ASKED
SENDER_KEYS: Final[Sequence[dict[str, Any]]] = (
    {"sender": HOOK, "hmac": True, "scopes": ["people"]},
    {"sender": DESK, "scopes": ["people", "files"]},
)
"""How HR's systems are known at the REST door: one signs, one shows a key. HRIS comes by MLLP and files by a folder: no key.
ASKED, HR's own database, tells nobody."""


async def bring(stack: Stack) -> None:
    """Start them all, side by side."""
    for books, mark in ((ACCOUNTS, "accounts"), (SCHEDULING, "schedules"), (EHR, "directories")):
        forget_another_hospital(stack, books, mark)
    for peer in (ACCOUNTS, SCHEDULING, EHR, REGISTRIES):  # an earlier story or test may have left it in trouble
        (stack.home.path / peer / "trouble").unlink(missing_ok=True)
    drop_folder(stack.home.path).mkdir(parents=True, exist_ok=True)
    exclusion_list(stack.home.path)
    async with asyncio.TaskGroup() as peers:
        peers.create_task(_serve(stack, ACCOUNTS, ACCOUNTS, token=True))
        peers.create_task(_serve(stack, SCHEDULING, SCHEDULING, token=True))
        peers.create_task(_serve(stack, EHR, listener("EHR"), scheme="mllp"))
        peers.create_task(_serve(stack, REGISTRIES, REGISTRIES))


async def _serve(stack: Stack, name: str, port_name: str, *, token: bool = False, scheme: str = "http") -> None:
    port, home = stack.port(port_name), stack.home.path
    shown = ("--token-file", str(_token(home, name))) if token else ()
    argv = own_program("-m", f"demo.{name}", "serve", "--home", str(home), "--port", str(port), *shown)
    where = f"{scheme}://{HOST}:{port}"
    env = {"PYTHONUNBUFFERED": "1"}
    await stack.add_part(Part(name=name, argv=argv, env=env, ready=all_listen([port]), address=where))


def _token(home: Path, name: str) -> Path:
    """The file of the token a target knows us by; made once."""
    path = home / "secrets" / f"target_{name}"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(32) + "\n", encoding="utf-8")
    return path


def addresses(stack: Stack) -> list[tuple[str, str, str]]:
    """What a visitor may open."""
    home = stack.home.path
    accounts, roster = (f"http://{HOST}:{given_port(stack, name)}" for name in (ACCOUNTS, SCHEDULING))
    return [
        ("accounts (SCIM 2.0)", f"{accounts}/v2/Users", f"token: {_token(home, ACCOUNTS)}"),
        ("scheduling", roster, f"records: {home / SCHEDULING / 'eligibility.json'}"),
        ("EHR", f"mllp://{HOST}:{given_port(stack, listener('EHR'))}", f"knows: {home / EHR / 'practitioners.json'}"),
        ("HR's files", str(drop_folder(home)), "people as CSV (docs/files.md)"),
    ]


# -- what the register says of them ---------------------------------------------------------------------------------


def register_files(stack: Stack) -> tuple[Path, ...]:
    """Targets, sources and HR's folder as the register takes them, with the ports, tokens and folders of this home."""
    home, folder = stack.home.path, stack.home.folder("register")
    urls = {name: f"http://{HOST}:{given_port(stack, name)}" for name in (ACCOUNTS, SCHEDULING, REGISTRIES)}
    targets = _rows("people_targets.json")
    for row in targets:
        if peer := row.pop("peer", ""):
            row |= {"url": urls[peer] + row["url"], "token_file": _token(home, peer).name}
    sources = _rows("people_sources.json")
    for row in sources:
        row["url"] = f"{urls[REGISTRIES]}{row['url']}"
    files = [row | {"path": str(drop_folder(home))} for row in _rows("people_files.json")]
    of_kind = {"access_targets": targets, "verification_sources": sources, "file_sources": files}
    return tuple(_written(folder / f"{kind}.json", rows) for kind, rows in of_kind.items())


def _rows(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((SEED / name).read_text(encoding="utf-8"))
    return found


def _written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return path


def drop_folder(home: Path) -> Path:
    """Where HR puts its files."""
    return home / "hr-files"


def exclusion_list(home: Path) -> Path:
    """The edition of the exclusion list that the register of exclusions serves; at first the seed's."""
    path = registry_folder(home) / "leie.csv"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = (SEED / "leie_rows.csv").read_text(encoding="utf-8")
        path.write_text(",".join(LEIE_COLUMNS) + "\n" + rows, encoding="utf-8")
    return path
