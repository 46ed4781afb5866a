"""The doors as departments, approvers, buyers and payers use them: REST with a key of one's own, or Temporal with plain JSON."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx
from temporalio.client import Client

from canonical.base import case_id, case_parts

LOOK_EVERY = 1.0
WITHIN = 400.0
TRY_AGAIN = (httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.TOO_MANY_REQUESTS, httpx.codes.BAD_GATEWAY)


class StoryError(Exception):
    """The story did not go as it should; the text says where it stood."""


@dataclass
class Doors:
    """One connection to the platform for everybody in the story."""

    url: str
    keys: Mapping[str, str]
    temporal: Client
    http: httpx.AsyncClient = field(default_factory=lambda: httpx.AsyncClient(timeout=30, trust_env=False))

    async def ask(
        self, who: str, method: str, path: str, body: Any = None, *, key: str = "", within: float = 60
    ) -> httpx.Response:
        """A request by somebody; an answer that says "try again" is taken at its word, under the same Idempotency-Key."""
        headers = {"Authorization": f"Bearer {self.keys[who]}"} | ({"Idempotency-Key": key} if key else {})
        give_up = time.monotonic() + within
        while True:
            try:
                answer = await self.http.request(method, f"{self.url}{path}", json=body, headers=headers)
                if answer.status_code not in TRY_AGAIN or time.monotonic() > give_up:
                    return answer
            except httpx.TransportError:
                if time.monotonic() > give_up:
                    raise
            await asyncio.sleep(LOOK_EVERY)

    async def look(self, who: str, path: str) -> dict[str, Any] | None:
        """A look-up; None where there is nothing (yet)."""
        answer = await self.ask(who, "GET", path)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        return _read(answer)

    async def post_requisition(self, who: str, body: Mapping[str, Any], key: str) -> None:
        """A department's system sends a requisition over REST."""
        _read(await self.ask(who, "POST", "/v1/requisitions", body, key=key))

    async def start_requisition(self, body: Mapping[str, Any]) -> None:
        """A department's system starts the case itself, with nothing but Temporal and JSON."""
        name = case_id("procure_to_pay", body["facility"], body["source"], body["number"])
        await self.temporal.start_workflow("ProcureToPay", body, id=name, task_queue="fascia")

    async def decide(self, who: str, case: str, decision: Mapping[str, Any]) -> httpx.Response:
        """A person's word to a case."""
        path = f"/v1/cases/{quote(case, safe='')}/decisions"
        return await self.ask(who, "POST", path, dict(decision), key=uuid.uuid4().hex)

    async def events(self, case: str) -> int:
        """How many history events all runs of a case have."""
        found = 0
        async for run in self.temporal.list_workflows(f'WorkflowId = "{case}"'):
            handle = self.temporal.get_workflow_handle(case, run_id=run.run_id)
            found += (await handle.describe()).history_length
        return found

    async def histories(self, case: str) -> list[str]:
        """Every run of a case as Temporal's own JSON, for replaying."""
        found = []
        async for run in self.temporal.list_workflows(f'WorkflowId = "{case}"'):
            handle = self.temporal.get_workflow_handle(case, run_id=run.run_id)
            found.append((await handle.fetch_history()).to_json())
        return found


def _read(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_error:
        raise StoryError(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:500]}")
    found: dict[str, Any] = answer.json()
    return found


@dataclass
class Case:
    """One case as somebody follows it through the doors: a requisition's or an order's."""

    doors: Doors
    who: str
    path: str
    name: str

    async def view(self) -> dict[str, Any] | None:
        """The case as the platform shows it; None before it is there."""
        return await self.doors.look(self.who, self.path)

    async def shows(self) -> str:
        """Its business state."""
        found = await self.view()
        return str(found["status"]["business_state"]) if found else "not there"

    async def until(
        self,
        *states: str,
        owner: str = "",
        within: float = WITHIN,
        when: Callable[[dict[str, Any]], bool] | None = None,
    ) -> dict[str, Any]:
        """Wait until it is in one of these states (of that owner; and so that ``when`` holds)."""
        give_up, found = time.monotonic() + within, None
        while time.monotonic() < give_up:
            found = await self.view()
            status = found["status"] if found else {}
            fits = status.get("business_state") in states if states else bool(found)
            if found and fits and owner in ("", status.get("owner")) and (when is None or when(found)):
                return found
            if found and status.get("closed") and status.get("business_state") not in states:
                break
            await asyncio.sleep(LOOK_EVERY)
        raise StoryError(f"{self.name} should be {' or '.join(states) or 'there'}, but {_stands(found)}")

    async def until_offered(self, verb: str, within: float = WITHIN) -> dict[str, Any]:
        """Wait until the case asks a person for this verb; what it is about comes back."""

        def asked(found: dict[str, Any]) -> bool:
            return any(verb in parked["verbs"] for parked in found["status"]["attention"])

        found = await self.until(within=within, when=asked)
        return next(parked for parked in found["status"]["attention"] if verb in parked["verbs"])

    async def decide(self, who: str, verb: str, reason: str = "", **more: Any) -> None:
        """A person decides; refused is an error of the story."""
        answer = await self.doors.decide(who, self.name, {"verb": verb, "reason": reason, **more})
        if answer.is_error:
            raise StoryError(f"{who} {verb} on {self.name}: {answer.status_code} {answer.text[:500]}")

    async def decide_what_is_asked(self, who: str, verb: str, reason: str = "") -> None:
        """Wait until the case asks for this verb, and give it about what it asks."""
        parked = await self.until_offered(verb)
        about = {name: parked[name] for name in ("line", "document") if parked.get(name)}
        await self.decide(who, verb, reason, **about)

    async def refuses(self, who: str, verb: str) -> None:
        """Somebody who may not tries, and must be refused."""
        answer = await self.doors.decide(who, self.name, {"verb": verb})
        if not answer.is_client_error:
            raise StoryError(f"{who} may not {verb} on {self.name}, but got {answer.status_code} {answer.text[:200]}")


def _stands(found: dict[str, Any] | None) -> str:
    if found is None:
        return "it is not there"
    status = found["status"]
    asks = "; ".join(parked["reason"] for parked in status["attention"])
    return f"it is {status['business_state']!r} (owner {status['owner'] or 'nobody'}; {asks or status['next_action']})"


def orders_of(view: Mapping[str, Any] | None) -> list[str]:
    """The order numbers a requisition became."""
    names = view["children"] if view else []
    return sorted(case_parts(name)[-1] for name in names)
