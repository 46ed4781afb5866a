"""The stage of the demonstration: the local stack, the hospital's ERP and its suppliers beside it, seeded and ready to play on.

Everything runs under one supervisor, so a part can be stopped and killed by name, and nothing outlives it. What is set up once
(register, keys) is found again at the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from demo import billing, stage_people
from demo.department import SITE, SYSTEMS, book_file
from demo.erp import secret_name
from demo.erp_acts import ErpPeople
from demo.hr_people_acts import HrClerk
from demo.partner import HOST, USER, public_host_key, user_key_file
from demo.partner_script import SEED
from demo.stage_parts import all_listen, forget_another_hospital, given_port, listener, listener_port
from stack.held import News
from stack.part import Part, own_program
from stack.supervisor import Stack, running

FACILITY = "NGH"
DATABASE, PEOPLE_DATABASE = "hospital", "people"
SUPPLIERS = ("ALPINE", "BOREAL")
ERP, PARTNERS, DEPARTMENTS, BILLING, GATEWAY = "erp", "partners", "departments", "billing", "mllp"
ERP_READY_WITHIN = 420.0  # the first start builds an environment and a database
SET_UP = "stage.json"
A_MINUTE = 6000

# Who calls the platform: departments' systems, and people who decide. No person here exists.
SENDERS = ("surgery-desk", "pharmacy-desk", "laboratory-desk")
PEOPLE = (
    *("E-2001", "E-2003", "E-2004", "E-3001", "E-6001", "E-7001", "E-7002", "E-8101"),
    *stage_people.OFFICE,
)

Say = Callable[[str], None]


class StageError(Exception):
    """The stage cannot be set up; the text says what failed."""


@dataclass
class Stage:
    """A stage that stands: the running stack and how to reach everybody on it."""

    stack: Stack
    home: Path
    erp: ErpPeople
    hr_clerk: HrClerk
    keys: Mapping[str, str]

    @property
    def api_url(self) -> str:
        return self.stack.addresses["FASCIA_API_URL"]

    @property
    def gateway(self) -> tuple[str, int]:
        """Where departments' systems send to by MLLP."""
        return HOST, int(self.stack.addresses["FASCIA_MLLP_PORT"])

    def addresses(self) -> list[tuple[str, str, str]]:
        """What a visitor may open: what, where, and how to get in."""
        told = self.stack.addresses
        secrets = self.home / "secrets"
        rows = [
            ("Temporal UI", told.get("FASCIA_TEMPORAL_UI_URL", ""), f"namespace {told.get('TEMPORAL_NAMESPACE', '')}"),
            ("API", f"{self.api_url}/docs", f"key: {secrets / 'key_surgery-desk'}"),
            ("MLLP door (HL7)", "mllp://{}:{}".format(*self.gateway), f"as {_known_as()}, from this machine"),
            (
                "ERP (Tryton)",
                told["FASCIA_ERP_URL"],
                f"database {DATABASE}, user auditor, password: {_password(secrets)}",
            ),
        ]
        clerk = secrets / secret_name("clerk", of="hr")
        rows.append(
            ("HR (Tryton)", told["FASCIA_HR_URL"], f"database {PEOPLE_DATABASE}, user clerk, password: {clerk}")
        )
        for supplier in SUPPLIERS:
            where = f"sftp://{USER}@{HOST}:{mailbox_port(self.stack, supplier)}"
            rows.append((f"mailbox of {supplier}", where, f"key: {user_key_file(self.home, supplier)}"))
        for code in SYSTEMS:
            where = f"mllp://{HOST}:{listener_port(self.stack, code)}"
            rows.append((f"replies to {code}", where, f"heard: {book_file(self.home, code)}"))
        where = f"mllp://{HOST}:{listener_port(self.stack, billing.CODE)}"
        rows.append(("billing", where, f"booked: {billing.book_file(self.home)}"))
        return rows + stage_people.addresses(self.stack)


def _known_as() -> str:
    return " or ".join(f"{system.application}^{SITE}" for system in SYSTEMS.values())


def _password(secrets: Path) -> Path:
    return secrets / "erp_auditor_password"


def _mailbox(supplier: str) -> str:
    return f"mailbox_{supplier.lower()}"


def mailbox_port(stack: Stack, supplier: str) -> int:
    """The port a supplier's running mailbox was given at this start."""
    return given_port(stack, _mailbox(supplier))


@contextlib.asynccontextmanager
async def staged(
    home: Path,
    say: Say,
    *,
    news: Callable[[News], None] | None = None,
    env: Mapping[str, str] | None = None,
    script: Path | None = None,
) -> AsyncIterator[Stage]:
    """Bring everything up, and take everything down again at the end of the block, however it ends.

    ``script`` says how the suppliers behave, where they should not behave as in the story.
    """

    async def bring_peers(stack: Stack) -> None:
        async with asyncio.TaskGroup() as peers:
            peers.create_task(_bring_erp(stack, say))
            peers.create_task(_bring_partners(stack, script))
            peers.create_task(_bring_departments(stack))
            peers.create_task(_bring_billing(stack))
            peers.create_task(stage_people.bring(stack))

    async with running(home, prepare=bring_peers, env=env, say=news) as stack:
        erp = ErpPeople(stack.addresses["FASCIA_ERP_URL"], DATABASE, stack.home.path)
        clerk = HrClerk(stack.addresses["FASCIA_HR_URL"], PEOPLE_DATABASE, stack.home.path)
        stage = Stage(stack, stack.home.path, erp, clerk, {})
        await _set_up(stage, say)
        stage.keys = {wish["sender"]: Path(wish["save"]).read_text().strip() for wish in _keys(stage.home)}
        yield stage


# -- the peers ------------------------------------------------------------------------------------------------------


async def _bring_erp(stack: Stack, say: Say) -> None:
    port = stack.port(ERP)
    url = f"http://{HOST}:{port}"
    stack.publish(FASCIA_ERP_KIND="tryton", FASCIA_ERP_URL=url, FASCIA_ERP_DATABASE=DATABASE, FASCIA_ERP_USER="fascia")
    # HR's own database is one more of the same server: what runs twice would take a visitor's machine twice the memory.
    asked = {"FASCIA_HR_KIND": "tryton", "FASCIA_HR_URL": url, "FASCIA_HR_DATABASE": PEOPLE_DATABASE}
    stack.publish(**asked, FASCIA_HR_USER="fascia", FASCIA_HR_SENDER=stage_people.ASKED)
    where = ("--home", str(stack.home.path), "--database", DATABASE, "--people", PEOPLE_DATABASE, "--port", str(port))
    part = Part(
        name=ERP,
        argv=own_program("-m", "demo.erp", "serve", *where),
        env={"PYTHONUNBUFFERED": "1"},
        ready=_erp_answers(url),
        ready_within=ERP_READY_WITHIN,
        address=url,
        stop_within=6.0,
        stop_whole_group=True,
    )
    telling = asyncio.create_task(_tell_log(stack, ERP, say))
    try:
        await stack.add_part(part)
    finally:
        telling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await telling


def _erp_answers(url: str) -> Callable[[], Any]:
    async def ask() -> bool:
        question = {"id": 1, "method": "common.server.version", "params": []}
        try:
            async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
                return (await client.post(f"{url}/rpc/", json=question)).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    return ask


async def _tell_log(stack: Stack, part: str, say: Say) -> None:
    """While a part takes long to start, say what it says."""
    last = ""
    while True:
        await asyncio.sleep(0.5)
        lines = stack.home.log_tail(part, 1)
        if lines and lines[0] != last:
            last = lines[0]
            say(last[:100])


async def _bring_partners(stack: Stack, script: Path | None) -> None:
    forget_another_hospital(stack)
    ports = {supplier: stack.port(_mailbox(supplier)) for supplier in SUPPLIERS}
    told = ",".join(f"{supplier}={port}" for supplier, port in ports.items())
    behave = ("--script", str(script)) if script else ()

    await stack.add_part(
        Part(
            name=PARTNERS,
            argv=own_program("-m", "demo.partner", "serve", "--home", str(stack.home.path), "--ports", told, *behave),
            env={"PYTHONUNBUFFERED": "1"},
            ready=all_listen(ports.values()),
            address=" ".join(f"sftp://{HOST}:{port}" for port in ports.values()),
        )
    )


async def _bring_departments(stack: Stack) -> None:
    ports = {code: stack.port(listener(code)) for code in SYSTEMS}
    told = ",".join(f"{code}={port}" for code, port in ports.items())
    await stack.add_part(
        Part(
            name=DEPARTMENTS,
            argv=own_program("-m", "demo.department", "serve", "--home", str(stack.home.path), "--ports", told),
            env={"PYTHONUNBUFFERED": "1"},
            ready=all_listen(ports.values()),
            address=" ".join(f"mllp://{HOST}:{port}" for port in ports.values()),
        )
    )


async def _bring_billing(stack: Stack) -> None:
    port = stack.port(listener(billing.CODE))
    forget_another_hospital(stack, "billing", "billing")
    billing.come_back(stack.home.path)  # an earlier story may have sent it away
    await stack.add_part(
        Part(
            name=BILLING,
            argv=own_program("-m", "demo.billing", "serve", "--home", str(stack.home.path), "--port", str(port)),
            env={"PYTHONUNBUFFERED": "1"},
            ready=all_listen([port]),
            address=f"mllp://{HOST}:{port}",
        )
    )


# -- what is set up once --------------------------------------------------------------------------------------------


async def _set_up(stage: Stage, say: Say) -> None:
    """Load the register and make the keys, unless the platform knows both already."""
    reached = (_partners_file(stage), _channels_file(stage), *stage_people.register_files(stage.stack))
    marks = {"seed": _content(*sorted(SEED.iterdir())), "reached": _content(*reached)}
    known = stage.stack.home.read(SET_UP)
    if not await _knows_us(stage):
        known = {}
    if known.get("seed") != marks["seed"]:
        say("loading the register from the ERP")
        await fascia(stage, "register", "load", "--from-erp", "--facility", FACILITY)
        say("loading the register from the hospital's own files")
        await fascia(stage, "register", "load", str(SEED), "--facility", FACILITY)
    if known.get("reached") != marks["reached"]:
        say("loading how we reach suppliers and departments")
        await fascia(stage, "register", "load", str(reached[0].parent))
    excluded = stage_people.exclusion_list(stage.home)
    if known.get("excluded") != _content(excluded):
        say("loading the exclusion list")
        await fascia(stage, "exclusions", "load", str(excluded))
        known |= {"excluded": _content(excluded)}
    made = bool(known.get("keys"))
    if missing := [wish for wish in _keys(stage.home) if not (made and Path(wish["save"]).exists())]:
        await _make_keys(stage, missing, say)
    stage.stack.home.write(SET_UP, {**known, **marks, "keys": True})


async def _knows_us(stage: Stage) -> bool:
    """Whether the keys of an earlier start still open the door (not so when its database was set aside)."""
    path = _key_file(stage.home, SENDERS[0])
    if not path.exists():
        return False
    headers = {"Authorization": f"Bearer {path.read_text().strip()}"}
    async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
        answer = await client.get(f"{stage.api_url}/v1/suppliers/ALPINE", headers=headers)
    return answer.status_code == httpx.codes.OK


def _partners_file(stage: Stage) -> Path:
    """The suppliers' rows, with the ports and keys of this state folder."""
    rows = json.loads((SEED / "trading_partners.json").read_text(encoding="utf-8"))
    for row in rows:
        row |= {
            "mailbox_host": HOST,
            "mailbox_port": mailbox_port(stage.stack, row["code"]),
            "mailbox_key_file": user_key_file(stage.home, row["code"]).name,
            "mailbox_host_key": public_host_key(stage.home, row["code"]),
        }
    path = stage.stack.home.folder("register") / "partner.json"
    path.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return path


def _channels_file(stage: Stage) -> Path:
    """The ways to the departments' systems and to billing, with the ports of this state folder."""
    rows = json.loads((SEED / "department_channels.json").read_text(encoding="utf-8"))
    for row in rows:
        row |= {"host": HOST, "port": listener_port(stage.stack, row.pop("system"))}
    path = stage.stack.home.folder("register") / "channels.json"
    path.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return path


def _content(*paths: Path) -> str:
    found = hashlib.sha256()
    for path in paths:
        found.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()


def _key_file(home: Path, name: str) -> Path:
    return home / "secrets" / f"key_{name}"


def _keys(home: Path) -> list[dict[str, Any]]:
    """Every key of the stage, as ``fascia key add --from`` makes it."""
    people = [{"sender": name, "person": name} for name in PEOPLE]
    wishes = [*({"sender": name} for name in SENDERS), *people, *stage_people.SENDER_KEYS]
    about = {"facility": FACILITY, "per_minute": A_MINUTE}
    return [{**about, **wish, "save": str(_key_file(home, str(wish["sender"])))} for wish in wishes]


async def _make_keys(stage: Stage, wishes: list[dict[str, Any]], say: Say) -> None:
    """One command makes them all: a process each would cost a machine of two cores some ten seconds."""
    say(f"making {len(wishes)} keys")
    for wish in wishes:
        Path(wish["save"]).unlink(missing_ok=True)
    file = stage.stack.home.folder("register") / "keys.json"
    file.write_text(json.dumps(wishes, indent=2) + "\n", encoding="utf-8")
    await fascia(stage, "key", "add", "--from", str(file))


async def fascia(stage: Stage, *arguments: str, who: str = "", ends: Collection[int] = (0,)) -> dict[str, Any]:
    """Give a ``fascia`` command, as a person at a terminal would (``who``: by whose key), and read its JSON.

    ``ends``: the exit codes it may end with.

    Raises:
        StageError: it ended otherwise; with what it said.
    """
    program = (sys.executable, "-c", "from cli.app import main; main()", *arguments, "--json")
    process = await asyncio.create_subprocess_exec(
        *program,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "FASCIA_HOME": str(stage.home), **({"FASCIA_API_KEY": stage.keys[who]} if who else {})},
    )
    out, err = await process.communicate()
    if process.returncode not in ends:
        said = (err.decode(errors="replace") + out.decode(errors="replace")).strip()
        raise StageError(f"fascia {' '.join(arguments)} ended with {process.returncode}:\n{said[-3000:]}")
    found: dict[str, Any] = json.loads(out or b"{}")
    return found
