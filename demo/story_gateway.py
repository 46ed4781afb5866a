"""The scenes at the gateway: departments that speak HL7, a gateway killed in a burst, an unknown code mended, a spoilt catalogue."""

from __future__ import annotations

import asyncio
import csv
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from demo.department import OR_SYSTEM, PHARMACY_SYSTEM, System
from demo.department_line import Message, Sent, send
from demo.hl7_plain import Reply
from demo.partner_mailbox import Mailbox
from demo.partner_script import SEED
from demo.partner_state import Sent as SentByThem
from demo.stage import FACILITY, GATEWAY, fascia
from demo.story_doors import LOOK_EVERY, WITHIN, StoryError
from demo.story_outside import Ending
from demo.story_scene import BUYER, PHARMACY, SURGERY, Ask, Scenario, Scene

BURST, ORDERS, CONNECTIONS, PATIENTS = 600, 3, 4, 40
TOTAL = BURST + ORDERS
PRICE = Decimal("6.25")  # of the gauze sponges, by contract


# -- a department asks, and hears --------------------------------------------------------------------------------------


async def asked_by_hl7(scene: Scene) -> None:
    """The operating room's system orders in its own codes, and its listener hears the order's number, and that all is done."""
    asked = await scene.ask(OR_SYSTEM, SURGERY, Ask("GLV-NIT-M", 4, "BOX"), Ask("GZ-44", 2, "BOX"))
    (order,) = await asked.ordered()
    first = await asked.hears(lambda reply: any(line.order for line in reply.lines))
    scene.also.append(f"the department heard {told(first, order.number)}")
    await order.delivered_and_paid()
    await asked.until("closed")
    last = await asked.hears(lambda reply: {line.state for line in reply.lines} == {"CM"})
    scene.also.append(f"and then {told(last, order.number)}")


def told(reply: Reply, order: str) -> str:
    """What a reply says of its lines; the order's number only where it is the one the ERP has."""
    said = sorted(
        {f"{one.said} {one.state} with {'its number' if one.order == order else one.order}" for one in reply.lines}
    )
    return f"{reply.kind}: {', '.join(said)} on {'a line' if len(reply.lines) == 1 else f'{len(reply.lines)} lines'}"


# -- a burst, and the gateway killed -----------------------------------------------------------------------------------


async def gateway_killed(scene: Scene) -> None:
    """Hundreds of messages, among them three orders, and the gateway dies by SIGKILL; who was not answered sends again."""
    streams = [_traffic(scene, stream) for stream in range(CONNECTIONS)]
    for at in range(ORDERS):
        message = scene.wording(OR_SYSTEM, SURGERY, Ask("PREP-PAD", at + 1, "BOX"))
        streams[at].insert(len(streams[at]) // 2, message)
    total = sum(map(len, streams))
    middle = asyncio.Event()
    sent = Sent()
    sent.heard = lambda: middle.set() if len(sent.answers) >= total // 3 else None
    sending = asyncio.create_task(send(scene.stage.gateway, *streams, sent=sent))
    killing = asyncio.create_task(_kill_in_the(middle, scene))
    try:
        await asyncio.gather(sending, killing)
    finally:
        sending.cancel()
        killing.cancel()
    orders = [(await asked.ordered())[0] for asked in scene.requisitions]
    await asyncio.gather(*(order.delivered_and_paid() for order in orders))
    await asyncio.gather(*(asked.until("closed") for asked in scene.requisitions))
    scene.also += await _counted(scene, sent, total)


async def _kill_in_the(middle: asyncio.Event, scene: Scene) -> None:
    await middle.wait()
    await scene.stage.stack.kill(GATEWAY)
    scene.told(
        "killed the gateway; the supervisor starts it again, and the department sends again what was not answered"
    )


def _traffic(scene: Scene, stream: int) -> list[Message]:
    """What is told about patients all day; no case starts by it. All about one patient goes over one connection."""
    writer, messages = OR_SYSTEM.writer, []
    for at in range(stream, BURST, CONNECTIONS):
        number, patient = f"{scene.playing}B{at:04d}", f"{900000 + at % PATIENTS}"
        text = writer.booking(number, patient) if at % 5 == 0 else writer.update(number, patient)
        messages.append((number, text))
    return messages


async def _counted(scene: Scene, sent: Sent, total: int) -> list[str]:
    """The sender's own list against the journal: how many acknowledged, how many of those are kept once, twice, never."""
    kept = await _in_journal(scene, OR_SYSTEM, sent.answers.keys())
    times = [kept.get(number, 0) for number in sent.answers]
    found = [f"{len(sent.answers)} of {total} acknowledged", f"{times.count(1)} of them kept once"]
    if missing := times.count(0):
        found.append(f"{missing} MISSING")
    if doubled := sum(1 for one in times if one > 1):
        found.append(f"{doubled} DOUBLED")
    found.append("those under way when it was killed were sent again" if sent.again else "NOTHING was under way")
    return found


async def _in_journal(scene: Scene, system: System, numbers: Any) -> dict[str, int]:
    """How often each number stands in the journal as routed, as the command line shows it to a person."""
    ours = set(numbers)
    for _ in range(int(WITHIN / LOOK_EVERY / 4)):
        listed = await fascia(
            scene.stage, "journal", "list", "--direction", "in", "--sender", system.code, "--limit", "5000"
        )
        rows = [row for row in listed["items"] if row["control_number"] in ours]
        if all(row["state"] != "received" for row in rows):
            break
        await asyncio.sleep(2 * LOOK_EVERY)
    counted: dict[str, int] = {}
    for row in rows:
        counted[row["control_number"]] = counted.get(row["control_number"], 0) + (row["state"] == "routed")
    return counted


# -- an unknown code, mended and replayed ------------------------------------------------------------------------------


async def unknown_code(scene: Scene) -> None:
    """The pharmacy orders by a code nobody knows yet; its row is loaded, what a replay would do is looked at, then done."""
    code = f"NACL-{scene.playing}"  # every playing of the story another, or it would be known already
    asked = await scene.ask(PHARMACY_SYSTEM, PHARMACY, Ask(code, 3, "CA"))
    row = await _row(scene, PHARMACY_SYSTEM, asked.message, "dead")
    scene.also.append(f"a dead letter: {row['reason'].partition(': ')[2].replace(code, 'NACL')}")
    await teach(scene, PHARMACY_SYSTEM, {code: "ITM-1008"})
    scene.also.append(f"preview: {await preview(scene, row['id'])}")
    await fascia(scene.stage, "journal", "replay", row["id"], "--reason", "the table of the pharmacy has the code now")
    (order,) = await asked.ordered()
    reply = await asked.hears(lambda reply: any(line.order for line in reply.lines))
    scene.also.append(f"the department heard {told(reply, order.number)}")
    scene.also.append(f"preview again: {await preview(scene, row['id'])}")
    await order.delivered_and_paid()
    await asked.until("closed")


async def _row(scene: Scene, system: System, number: str, state: str) -> dict[str, Any]:
    """The journal's row of a message, once it is in this state."""
    for _ in range(int(WITHIN / LOOK_EVERY / 4)):
        command = ("journal", "list", "--direction", "in", "--sender", system.code, "--state", state, "--limit", "200")
        rows: list[dict[str, Any]] = (await fascia(scene.stage, *command))["items"]
        if found := [row for row in rows if row["control_number"] == number]:
            return found[0]
        await asyncio.sleep(2 * LOOK_EVERY)
    raise StoryError(f"message {number} of {system.code} is not {state}")


async def teach(scene: Scene, system: System, codes: dict[str, str]) -> None:
    """An administrator loads the system's item table with these codes added: its version from today on."""
    with (SEED / "mappings.csv").open(encoding="utf-8", newline="") as file:
        known = {
            row["from"]: row["to"]
            for row in csv.DictReader(file)
            if (row["sender"], row["table"]) == (system.code, "item")
        }
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    rows = [f"{system.code},item,{today},{theirs},{ours}" for theirs, ours in (known | codes).items()]
    path = scene.stage.stack.home.folder("departments") / f"mappings-{system.code}.csv"
    path.write_text("\n".join(["sender,table,valid_from,from,to", *rows]) + "\n", encoding="utf-8")
    await fascia(scene.stage, "register", "load", str(path), "--kind", "mapping")


async def preview(scene: Scene, message: str) -> str:
    """What a replay of a message would do, as the command line says it; nothing is done by asking."""
    found = await fascia(scene.stage, "journal", "replay", message, "--preview")
    return ", ".join(item["outcome"] for item in found["items"])


# -- a catalogue with three bad rows -----------------------------------------------------------------------------------


def catalogue_rows(price: Decimal) -> list[dict[str, str]]:
    """What the supplier writes: a price that changes in sixty days, one that is the contract's, and three rows nobody can read."""
    return [
        {
            "catalogue": "ALP-GZ-44",
            "unit": "BX",
            "price": str(price),
            "since": f"{datetime.now(UTC) + timedelta(60):%Y%m%d}",
        },
        {"catalogue": "ALP-OND-4", "unit": "BX", "price": "9.60"},
        {"catalogue": "ALP-GLV-L", "unit": "BX", "price": "ask us"},
        {"catalogue": "", "unit": "BX", "price": "4.10"},
        {"catalogue": "ALP-MSK-E", "unit": "CA", "price": "43.00", "since": "20270231"},
    ]


async def spoilt_catalogue(scene: Scene) -> None:
    """Five rows of a supplier's catalogue, three of them spoilt: two are compared, three stand apart, the contract stays."""
    price = (
        PRICE + Decimal(int(scene.playing[1:])) / 100
    )  # every playing of the story another, or it would be known already
    rows = catalogue_rows(price)
    before = {sent.number for sent in _catalogues(scene)}
    Mailbox(scene.stage.home, "ALPINE").ask(kind="832", detail={"number": scene.tag, "rows": rows})
    sent = await _until(lambda: next((one for one in _catalogues(scene) if one.number not in before), None), "an 832")
    said = await _until(lambda: _verdict(scene, sent.group), "what we said of its catalogue")
    scene.also.append(f"the supplier heard {said}")
    message = await _kept(scene, sent)
    listed = await _about(scene, message, "unmatched", "list")
    apart = [row for row in listed if row["kind"] == "catalogue_row"]
    places = sorted(row["reason"].split(" ")[0].rstrip(":") for row in apart)
    scene.also.append(f"{len(apart)} rows apart: {', '.join(places)}")
    differ = await _about(scene, message, "register", "drift", "--facility", FACILITY)
    told = [
        f"{row['ours']}, theirs {'as sent' if row['theirs'].startswith(f'{price.normalize():f} ') else row['theirs']}"
        for row in differ
    ]
    scene.also.append(f"for a person: {'; '.join(told)}")
    if await _contract(scene, "ITM-1003") == PRICE:
        scene.also.append("the contract stays as it was")
    for row in differ:
        why = "the contract holds to its end"
        await fascia(scene.stage, "register", "drift", "dismiss", row["id"], "--reason", why, who=BUYER)
    for row in listed:
        reason = {"reason": "the supplier sends it anew"}
        (await scene.doors.ask(BUYER, "POST", f"/v1/unmatched/{row['id']}/set-aside", reason)).raise_for_status()
    scene.said = "read"


async def _about(scene: Scene, message: str, *command: str) -> list[dict[str, Any]]:
    """The rows of a list that are about a message, as the command line shows it to a person."""
    listed = await fascia(scene.stage, *command, "--limit", "5000")
    return [row for row in listed["items"] if row["message"] == message]


async def _contract(scene: Scene, item: str) -> Decimal:
    """What the contract with ALPINE says an item costs today."""
    listed = await fascia(scene.stage, "register", "show", "contract_price", "--facility", FACILITY, "--limit", "5000")
    records = [row["record"] for row in listed["items"]]
    (price,) = [one["price"]["amount"] for one in records if (one["item"], one["supplier"]) == (item, "ALPINE")]
    return Decimal(price)


def _catalogues(scene: Scene) -> list[SentByThem]:
    return [sent for sent in scene.outside.books()["ALPINE"].sent if sent.kind == "832"]


def _verdict(scene: Scene, group: str) -> str:
    """The 997 to a group of the supplier's, as it came to the supplier."""
    said = [
        one for one in scene.outside.books()["ALPINE"].said if (one.kind, one.group, one.number) == ("997", "SC", group)
    ]
    return ", ".join(f"997 {one.code}" for one in said)


async def _kept(scene: Scene, sent: SentByThem) -> str:
    """The name the journal has for a document of the supplier's."""
    command = ("journal", "list", "--direction", "in", "--partner", "ALPINE", "--kind", "x12", "--limit", "5000")
    rows = (await fascia(scene.stage, *command))["items"]
    names = [row["id"] for row in rows if row["control_number"] == sent.number]
    if len(names) != 1:
        raise StoryError(f"the catalogue {sent.number} is in the journal {len(names)} times")
    return str(names[0])


T = TypeVar("T")


async def _until(look: Callable[[], T | None], what: str) -> T:
    """Wait until somebody outside has it."""
    give_up = time.monotonic() + WITHIN
    while time.monotonic() < give_up:
        if found := look():
            return found
        await asyncio.sleep(LOOK_EVERY / 2)
    raise StoryError(f"nobody shows {what}")


NUMBER = "with its number on"
GATEWAY_SCENES: tuple[Scenario, ...] = (
    Scenario(
        "asked_by_hl7",
        "a department asks by OMS^O05 over MLLP and hears the order's number (ORS^O06)",
        asked_by_hl7,
        Ending(
            "closed",
            *(1, 1, 1, 1, 1, Decimal("45.18"), Decimal("45.18"), 1),
            also=(f"the department heard ORS^O06: OK IP {NUMBER} 2 lines", f"and then ORS^O06: SC CM {NUMBER} 2 lines"),
        ),
    ),
    Scenario(
        "gateway_killed",
        f"a burst of {TOTAL} messages, the gateway killed with SIGKILL in the middle: nothing lost, nothing doubled",
        gateway_killed,
        Ending(
            "closed",
            *(ORDERS, ORDERS, ORDERS, ORDERS, ORDERS, Decimal("18.52"), Decimal("18.52"), ORDERS),
            also=(
                f"{TOTAL} of {TOTAL} acknowledged",
                f"{TOTAL} of them kept once",
                "those under way when it was killed were sent again",
            ),
        ),
    ),
    Scenario(
        "unknown_code",
        "an unknown code: a dead letter, its table mended, the replay previewed and done once",
        unknown_code,
        Ending(
            "closed",
            *(1, 1, 1, 1, 1, Decimal("91.73"), Decimal("91.73"), 1),
            also=(
                "a dead letter: RQD-2: no item for code NACL of sender PHARMACY",
                "preview: new effect",
                f"the department heard ORS^O06: OK IP {NUMBER} a line",
                "preview again: already done",
            ),
        ),
    ),
    Scenario(
        "spoilt_catalogue",
        "a supplier's catalogue with three bad rows: those stand apart, the others are compared",
        spoilt_catalogue,
        Ending(
            "read",
            also=(
                "the supplier heard 997 E",
                "3 rows apart: CTP/10/CTP03, DTM/15/DTM02, LIN/11/LIN02",
                "for a person: 6.25 USD per BX, theirs as sent",
                "the contract stays as it was",
            ),
        ),
        process="catalogue",
    ),
)
