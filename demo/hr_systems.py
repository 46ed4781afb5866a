"""HR's own systems as they tell the hospital of people: HL7 PMU over MLLP, CSV files in a folder, signed requests, and REST."""

from __future__ import annotations

import asyncio
import base64
import csv
import hashlib
import hmac
import io
import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import httpx

from demo.department import SITE
from demo.department_line import Message, send
from demo.hl7_plain import Writer
from demo.people_made import Made
from demo.stage import Stage
from demo.stage_people import HOOK, HRIS, drop_folder
from demo.story_doors import StoryError

TRY_AGAIN: Final = (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.BAD_GATEWAY)
GIVE_UP: Final = 60.0
COLUMNS: Final = (
    *("number", "person", "kind", "said_at", "effective", "family", "given", "birth_date", "npi"),
    *(
        "licences",
        "dea",
        "role",
        "department",
        "cost_centre",
        "service_line",
        "practice_states",
        "employment",
        "starts",
    ),
)


# -- signed requests (Standard Webhooks) ----------------------------------------------------------------------------


def signature(secret: str, name: str, stamp: int, body: bytes) -> str:
    """What ``Webhook-Signature`` holds: of the name, the seconds and the body, by the bytes behind ``whsec_``."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{name}.{stamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


async def signed(stage: Stage, number: str, *events: Mapping[str, Any]) -> str:
    """Send events in one signed request, until it is answered; gives the name of the kept message.

    Raises:
        StoryError: it was not taken.
    """
    body = json.dumps(events[0] if len(events) == 1 else {"events": events}).encode()
    give_up = time.monotonic() + GIVE_UP
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        while True:
            stamp = int(time.time())
            headers = {"Webhook-Id": number, "Webhook-Timestamp": f"{stamp}", "Content-Type": "application/json"}
            headers["Webhook-Signature"] = signature(stage.keys[HOOK], number, stamp, body)
            answer = await client.post(f"{stage.api_url}/v1/hooks/{HOOK}/hr-events", content=body, headers=headers)
            if answer.status_code not in TRY_AGAIN or time.monotonic() > give_up:
                break
            await asyncio.sleep(1)
    if answer.status_code != httpx.codes.ACCEPTED:
        raise StoryError(f"a signed request was answered {answer.status_code} {answer.text[:300]}")
    return str(answer.json()["message"])


# -- HL7 over MLLP ------------------------------------------------------------------------------------------------------


def hire_message(number: str, one: Made, starts: date) -> Message:
    """PMU^B01 (v2.5.1 chapter 15): a new employee, with numbers and licences in PRA-6."""
    numbers = [f"{one.npi}^NPI", f"{one.licence}^SL^{one.state}", *([f"{one.dea}^DEA^{one.state}"] if one.dea else [])]
    staff = {
        1: one.number,
        2: f"{one.number}^^^{SITE}^EI",
        3: f"{one.family}^{one.given}^^^^^L",
        6: f"{one.born:%Y%m%d}",
    }
    work = {
        7: "A",
        8: one.department,
        9: one.department,
        12: f"{starts:%Y%m%d}^{SITE}",
        19: one.role,
        20: "1",
        36: one.cost_centre,
    }
    practitioner = {1: one.number, 6: "~".join(numbers)}
    rows = (_evn("B01"), _segment("STF", staff | work), _segment("PRA", practitioner))
    return number, Writer(HRIS, SITE).message("PMU^B01^PMU_B01", number, *rows)


def end_message(number: str, one: Made, last_day: date, reason: str = "") -> Message:
    """PMU^B06: the employment ends with that day; a reason of ours that begins with ``emergency`` ends access at once."""
    rows = (_evn("B06", reason), _segment("STF", {1: one.number, 13: f"{last_day:%Y%m%d}^{SITE}"}))
    return number, Writer(HRIS, SITE).message("PMU^B06^PMU_B06", number, *rows)


async def by_mllp(stage: Stage, *messages: Message) -> None:
    """Send them; each must be acknowledged."""
    await send(stage.gateway, messages)


def _evn(event: str, reason: str = "") -> str:
    return f"EVN|{event}|{datetime.now(UTC):%Y%m%d%H%M%S}+0000||{reason}"


def _segment(name: str, fields: Mapping[int, str]) -> str:
    return "|".join([name, *(fields.get(at, "") for at in range(1, max(fields) + 1))])


# -- files --------------------------------------------------------------------------------------------------------------


def hire_row(one: Made, starts: date, number: str = "") -> dict[str, str]:
    """A row of HR's file: a new employee. What HR does not know of them is empty."""
    return {
        "number": number,
        "person": one.number,
        "kind": "hire",
        "said_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "effective": f"{starts}",
        "family": one.family,
        "given": one.given,
        "birth_date": f"{one.born}",
        "npi": one.npi,
        "licences": f"{one.state} {one.licence}" if one.licence else "",
        "dea": f"{one.state} {one.dea}" if one.dea else "",
        "role": one.role,
        "department": one.department,
        "cost_centre": one.cost_centre,
        "service_line": one.department,
        "practice_states": one.state,
        "employment": "employed",
        "starts": f"{starts}",
    }


def drop(home: Path, name: str, rows: Sequence[Mapping[str, str]]) -> Path:
    """Put a file into HR's folder, whole at once: it is written under another name."""
    folder, text = drop_folder(home), io.StringIO()
    written = csv.DictWriter(text, COLUMNS, restval="")
    written.writeheader()
    written.writerows(rows)
    unfinished = folder / f"{name}.tmp"
    unfinished.write_text(text.getvalue(), encoding="utf-8")
    return unfinished.replace(folder / name)
