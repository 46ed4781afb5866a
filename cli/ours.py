"""The platform as an operator reaches it: our own store and Temporal, by the settings of this machine.

With a key (``FASCIA_API_KEY`` or a file named by ``FASCIA_API_KEY_FILE``) decisions go through the REST door and are those of
the key's person. Without one they are those of the shell login, sealed here with the key of our doors.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import date, timedelta
from pathlib import Path

import httpx
from temporalio.service import RPCError, RPCStatusCode

from canonical.base import Canonical, case_parts
from canonical.cases import Actor, Answer, Decision
from canonical.errors import Rejected, Unavailable
from canonical.parties import Employee
from canonical.ports import Unmatched
from cli import banking, foresight, loading, outgoing, person, reading, successor
from cli.again import OurReplays
from cli.attention_views import StuckRow
from cli.door import DoorHouse
from cli.exits import not_allowed, not_found
from cli.house import CaseFilter, DeliveryFilter, House, KeyRequest, MessageFilter, Resumed, SubscriberRequest
from cli.opening import Opening
from cli.our_access import OurAccess
from cli.our_channels import OurChannels
from cli.our_clinicians import OurClinicians
from cli.our_exclusions import OurExclusions
from cli.our_monitoring import OurMonitoring
from cli.our_people import MAY_MATCH, OurPeople
from cli.our_recalls import OurRecalls
from cli.our_usage import MAY_DECIDE, OurStock, OurUsage
from cli.views import (
    ActView,
    BankConfirmed,
    CaseRow,
    CaseView,
    DeliveryView,
    DriftRow,
    Foreseen,
    KeyRow,
    LoadReport,
    MessageRow,
    MessageView,
    NewKey,
    RegisterRow,
    SubscriberAdded,
    SubscriberRemoved,
    SubscriberRow,
    UnmatchedRow,
)
from gateway.decisions import MAY_SETTLE, without_reason
from gateway.simulate import Book
from store import keys as stored_keys
from store.acts import Act
from store.attention import StoredAttention
from store.ids import now
from workers.settings import Settings, load
from workers.wiring import Wiring, wired

API_KEY = "api_key"
DOOR_TIMEOUT = 30.0


@asynccontextmanager
async def our_house() -> AsyncIterator[House]:
    """The platform: our own store where an address for it is set, else the REST door."""
    settings = load()
    key = api_key(settings)
    async with AsyncExitStack() as stack:
        door = None
        if key:
            client = await stack.enter_async_context(_client(settings, key))
            door = DoorHouse(client)
        if door is not None and not settings.database_url.get_secret_value():
            yield door
            return
        wiring = await stack.enter_async_context(wired(settings, lazy=True))
        yield OurHouse(wiring, door, key)


def api_key(settings: Settings) -> str:
    """The key this command is given by: from the environment, else from its file."""
    named = os.environ.get("FASCIA_API_KEY", "").strip()
    held = settings.secret(API_KEY)
    return named or (held.get_secret_value() if held else "")


def _client(settings: Settings, key: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=settings.api_url, headers={"Authorization": f"Bearer {key}"}, timeout=DOOR_TIMEOUT, trust_env=False
    )


def login() -> str:
    """The shell login of who gives this command: what the system knows, not what the environment says."""
    return pwd.getpwuid(os.getuid()).pw_name


class OurHouse:
    """:class:`cli.house.House` over our own store and Temporal; ``door`` takes the decisions of a key holder (``key``)."""

    def __init__(self, wiring: Wiring, door: DoorHouse | None = None, key: str = "") -> None:
        self._wiring = wiring
        self._door = door
        self._key = key

    async def whoami(self) -> Actor:
        return await self._door.whoami() if self._door else Actor(id=login(), known_by="os_user")

    # ---- cases -----------------------------------------------------------------------------------------------------

    async def cases(self, which: CaseFilter, limit: int) -> Sequence[CaseRow]:
        return await reading.cases(self._wiring, which, limit)

    async def find(self, name: str) -> Sequence[CaseRow]:
        return await reading.find(self._wiring, name)

    async def case(self, case: str) -> CaseView | None:
        return await reading.case(self._wiring, case)

    async def decide(self, case: str, decision: Decision) -> Answer:
        if self._door is not None:
            return await self._door.decide(case, decision)
        key = self._key_to_seal()
        told = await without_reason(self._wiring.cases, case, decision)
        try:
            return await self._wiring.engine.decide(case, told.sealed(case, key))
        except Rejected as refused:
            if refused.code == "not-allowed" and await person.behind(self._wiring, case, decision.actor) is None:
                raise person.nobody(case, decision.actor) from refused
            raise

    async def may_decide(self, case: str, decision: Decision) -> str:
        if self._door is not None:
            return await self._door.may_decide(case, decision)
        self._key_to_seal()
        return await person.may_decide(self._wiring, case, decision)

    def _key_to_seal(self) -> bytes:
        if self._wiring.seal_key:
            return self._wiring.seal_key
        raise not_allowed(
            f"there is no key to seal decisions with at {self._wiring.settings.secret_path('seal_key')}",
            "run `fascia up` once, or decide through the REST door with FASCIA_API_KEY",
        )

    async def resume(self, case: str, reason: str) -> Resumed:
        return await successor.start_successor(self._wiring, case, reason)

    async def can_resume(self, case: str) -> bool:
        return await successor.can_start(self._wiring, case)

    async def history(self, case: str, run: str) -> str:
        handle = self._wiring.client.get_workflow_handle(case, run_id=run or None)
        try:
            return (await handle.fetch_history(rpc_timeout=timedelta(seconds=30))).to_json()
        except RPCError as refused:
            if refused.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
                raise not_found(
                    "run in Temporal of", f"{case} {run}".strip(), "Temporal forgets closed cases"
                ) from None
            raise Unavailable("Temporal does not answer", system="temporal") from refused
        except RuntimeError as away:
            raise Unavailable("Temporal does not answer", system="temporal") from away

    async def attention(self, limit: int) -> Sequence[StuckRow]:
        found = await StoredAttention(self._wiring.database).stuck(now())
        return [StuckRow.model_validate(one.model_dump()) for one in found[:limit]]

    # ---- documents without a case --------------------------------------------------------------------------------

    async def unmatched(self, state: str, facility: str, limit: int) -> Sequence[UnmatchedRow]:
        rows = await self._wiring.cases.unmatched(state, facility=facility, limit=limit)
        return [UnmatchedRow.model_validate(row.model_dump()) for row in rows]

    async def attach(self, document: str, case: str, why: str, dry_run: bool) -> UnmatchedRow:
        if self._door is not None:
            return await self._door.attach(document, case, why, dry_run)
        held = await self._wiring.cases.unmatched_document(document)
        if held is None:
            raise not_found("unmatched document", document, "see `fascia unmatched list`")
        person = await self._person(case_parts(case)[1])
        if not dry_run:

            async def give(as_held: Unmatched) -> None:
                await self._wiring.intake.attach(as_held, case, person.id)

            held = await self._wiring.cases.attach(document, case, by=person.id, give=give, why=why)
        return UnmatchedRow.model_validate(held.model_dump())

    async def dismiss(self, document: str, why: str, dry_run: bool) -> UnmatchedRow:
        if self._door is not None:
            return await self._door.dismiss(document, why, dry_run)
        held = await self._wiring.cases.unmatched_document(document)
        if held is None:
            raise not_found("unmatched document", document, "see `fascia unmatched list`")
        person = await self._person(held.facility)
        if not dry_run:
            held = await self._wiring.cases.set_aside(document, by=person.id, why=why)
        return UnmatchedRow.model_validate(held.model_dump())

    async def _person(self, facility: str, may: frozenset[str] = MAY_SETTLE) -> Employee:
        """The employee behind the key, else behind the shell login, who must be of one of these roles."""
        if self._key:
            person = await reading.key_holder(self._wiring, facility, self._key)
            if person is None:
                raise not_allowed(
                    f"this key is not valid, or stands for no active employee of {facility}",
                    "fascia key list; fascia key add --person",
                )
        else:
            person = await reading.employee(self._wiring, facility, login())
        if person is None:
            raise not_allowed(
                f"the login {login()} is no active employee of {facility or 'any facility'} in the register",
                "give the employee this os_user in the register, or use a key (FASCIA_API_KEY)",
            )
        if not may & set(person.roles):
            raise not_allowed(f"this is for {', '.join(sorted(may))}, not for {', '.join(person.roles) or 'no role'}")
        return person

    # ---- the journal ---------------------------------------------------------------------------------------------

    async def messages(self, which: MessageFilter, limit: int) -> Sequence[MessageRow]:
        return await reading.messages(self._wiring, which, limit)

    async def message(self, message: str) -> MessageView | None:
        return await reading.message(self._wiring, message, Opening(self._wiring, self._medical_staff))

    # ---- who hears of our events -----------------------------------------------------------------------------------

    @property
    def _operator(self) -> Actor:
        """Who works on our own store from here: a login, whatever key decisions go by."""
        return Actor(id=login(), known_by="os_user")

    def _deed(self, verb: str) -> Act:
        return Act(verb=verb, about="", actor=self._operator)

    async def subscribers(self, everyone: bool, limit: int) -> Sequence[SubscriberRow]:
        return await outgoing.subscribers(self._wiring, everyone, limit)

    async def subscribe(
        self, request: SubscriberRequest, secret: str, replace: bool, new_secret: bool
    ) -> SubscriberAdded:
        return await outgoing.subscribe(
            self._wiring, request, secret, self._operator, replace=replace, new_secret=new_secret
        )

    async def unsubscribe(self, name: str) -> SubscriberRemoved:
        return await outgoing.unsubscribe(self._wiring, name, self._operator)

    async def deliveries(self, which: DeliveryFilter, limit: int) -> Sequence[DeliveryView]:
        return await outgoing.deliveries(self._wiring, which, limit)

    async def retry_deliveries(
        self, ids: Sequence[int], subscriber: str, why: str, dry_run: bool
    ) -> Sequence[DeliveryView]:
        return await outgoing.retry(self._wiring, ids, subscriber, why, self._operator, dry_run=dry_run)

    async def acts(self, about: str, limit: int) -> Sequence[ActView]:
        return await outgoing.acts(self._wiring, about, limit)

    @property
    def people(self) -> OurPeople:
        return OurPeople(self._wiring, self._medical_staff)

    async def _medical_staff(self, facility: str) -> Actor:
        person = await self._person(facility, MAY_MATCH)
        return Actor(id=person.id, known_by="api_key" if self._key else "os_user")

    @property
    def access(self) -> OurAccess:
        return OurAccess(self._wiring, self._known_at)

    @property
    def recalls(self) -> OurRecalls:
        return OurRecalls(self._wiring, self._operator, self._answering)

    @property
    def clinicians(self) -> OurClinicians:
        return OurClinicians(self._wiring, self._known_at)

    @property
    def exclusions(self) -> OurExclusions:
        return OurExclusions(self._wiring, self._operator)

    @property
    def monitoring(self) -> OurMonitoring:
        return OurMonitoring(self._wiring, self._known_at)

    async def _answering(self) -> Actor:
        """Who gives a word to a recall: the key's person, whose roles the recall's case looks up; else a login."""
        return (await self._known_at())[0]

    async def _known_at(self) -> tuple[Actor, str]:
        """Who gives a word, and the one facility a key's person is somebody at; a login may be somebody's at any."""
        if not self._key:
            return Actor(id=login(), known_by="os_user"), ""
        caller = await reading.caller(self._wiring, self._key)
        if caller is None or not caller.person:
            raise not_allowed("this key is not valid, or stands for no person", "`fascia key add --person`")
        return Actor(id=caller.person, known_by="api_key"), caller.facility

    @property
    def replays(self) -> OurReplays:
        return OurReplays(self._wiring, self._operator)

    @property
    def usage(self) -> OurUsage:
        return OurUsage(self._wiring, self._operator, self._materials)

    async def _materials(self, facility: str) -> Actor:
        person = await self._person(facility, MAY_DECIDE)
        return Actor(id=person.id, known_by="api_key" if self._key else "os_user")

    @property
    def stock(self) -> OurStock:
        return OurStock(self._wiring, self._materials)

    @property
    def channels(self) -> OurChannels:
        return OurChannels(self._wiring, self._operator)

    # ---- the register and keys -----------------------------------------------------------------------------------

    async def load(self, path: Path, kind: str, facility: str, source: str, dry_run: bool) -> LoadReport:
        person = await reading.employee(self._wiring, "", login())
        by = person.id if person else login()
        act = self._deed("register load")
        return await loading.from_path(
            self._wiring.register, path, kind, facility, source, dry_run=dry_run, act=act, by=by
        )

    async def load_from_erp(self, facility: str, dry_run: bool) -> LoadReport:
        erp, act = self._wiring.erp_for(facility), self._deed("register load")
        return await loading.from_erp(self._wiring.register, erp, facility, dry_run=dry_run, act=act)

    async def register(self, kind: str, facility: str, code: str, limit: int) -> Sequence[RegisterRow]:
        return await reading.register(self._wiring, kind, facility, code, limit)

    async def drift(self, facility: str, state: str, limit: int) -> Sequence[DriftRow]:
        return await foresight.drift(self._wiring, facility, state, limit)

    async def settle_drift(self, verb: str, drift: str, why: str, dry_run: bool) -> DriftRow:
        facility = (await self._wiring.drift.row(drift)).facility
        by = Actor(id=(await self._person(facility)).id, known_by="api_key" if self._key else "os_user")
        return await foresight.settle(self._wiring, verb, drift, why, by, dry_run=dry_run)

    async def book(self, as_of: date) -> Book:
        return await foresight.book(self._wiring, as_of)

    async def foresee(self, noun: Canonical, facility: str, as_of: date) -> Foreseen:
        return await foresight.foresee(self._wiring, noun, facility, as_of)

    async def confirm_bank(self, supplier: str, fingerprint: str, dry_run: bool) -> BankConfirmed:
        return await banking.confirm(self._wiring, supplier, fingerprint, login(), dry_run=dry_run)

    async def keys(self, limit: int) -> Sequence[KeyRow]:
        rows = await stored_keys.StoredKeys(self._wiring.database).keys(limit)
        return [KeyRow.model_validate(row.model_dump()) for row in rows]

    async def add_keys(self, requests: Sequence[KeyRequest]) -> Sequence[NewKey]:
        for one in requests:
            if await self._wiring.register.facility(one.facility) is None:
                raise Rejected(
                    f"no facility {one.facility} in the register (`fascia register show facility`)",
                    code="not-found",
                    system="store",
                )
            if one.person and await self._wiring.register.employee(one.facility, one.person) is None:
                raise Rejected(
                    f"{one.person} is no employee of {one.facility} in the register", code="not-found", system="store"
                )
        new = [
            stored_keys.NewKey(
                **one.model_dump(exclude={"days"}), expires_at=now() + timedelta(days=one.days) if one.days else None
            )
            for one in requests
        ]
        keys = stored_keys.StoredKeys(self._wiring.database, seal_key=self._wiring.seal_key)
        made = await keys.add_all(new, self._deed("key add"))
        return [NewKey(secret=secret, **key.model_dump()) for key, secret in made]

    async def revoke_key(self, key: str) -> KeyRow:
        row = await stored_keys.StoredKeys(self._wiring.database).revoke(key, self._deed("key revoke"))
        return KeyRow.model_validate(row.model_dump())
