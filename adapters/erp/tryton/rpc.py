"""Asks Tryton 8.2 to do things: its remote calls as JSON over HTTP, its session, and what its refusals mean to us.

A request of exactly ``id``, ``method`` and ``params`` gets its errors as HTTP 200 with ``error: [kind, payload]``; the
user's context (company, language) goes along as the last parameter of every call.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import httpx

from adapters import http
from canonical.errors import Rejected, Throttled, Unavailable

SYSTEM: Final = "erp"
# Names of exceptions of Tryton's database layer: trouble on its side, not an answer to what we asked.
TROUBLE: Final = ("Operational", "Timeout", "Interface", "Serialization", "Deadlock", "LockNotAvailable", "Concurrency")
STAMP: Final = ("year", "month", "day", "hour", "minute", "second", "microsecond")

Record = dict[str, Any]
Domain = Sequence[Any]


class AsksFirst(Rejected):
    """Tryton wants a yes before it goes on; ``name`` is what the yes is given to."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"the ERP asks first: {http.cut(text)}", code="warning", system=SYSTEM)
        self.name = name

    def is_about(self, name: str) -> bool:
        """Whether it is the question of that name; Tryton puts a hash of the records before some names, the records after others."""
        return self.name.startswith(name) or self.name.endswith(f".{name}")


class TrytonRpc:
    """One user's session with one Tryton database, opened at the first call and again once when it was dropped."""

    def __init__(self, client: httpx.AsyncClient, url: str, database: str, user: str, password: str) -> None:
        self._client = client
        self._path = f"{url.rstrip('/')}/{database}/rpc/"
        self._user = user
        self._password = password
        self._ticket = ""
        self._context: Record = {}
        self._signing_in = asyncio.Lock()
        self._calls = 0

    async def call(self, method: str, *arguments: Any, context: Record | None = None) -> Any:
        """Call ``model.<name>.<method>`` or ``wizard.<name>.<method>``.

        Raises:
            Unavailable: no answer or trouble on its side; what was asked may have been done, or be done yet.
            Throttled: too many wrong log-ins.
            Rejected: a rule of the ERP, missing rights, or a state that does not allow it.
        """
        if not self._ticket:
            await self._sign_in("")
        used = self._ticket
        try:
            return await self._post(method, [*arguments, {**self._context, **(context or {})}], used)
        except Rejected as refused:
            if refused.code != http.UNAUTHENTICATED:
                raise
        await self._sign_in(used)
        return await self._post(method, [*arguments, {**self._context, **(context or {})}], self._ticket)

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()

    async def search(
        self,
        model: str,
        domain: Domain,
        fields: Sequence[str],
        *,
        context: Record | None = None,
        limit: int | None = None,
        order: str = "id",
    ) -> list[Record]:
        """The records that fit, oldest first; a related field is asked for as ``product.code``, found in ``product.``."""
        found: list[Record] = await self.call(
            f"model.{model}.search_read", list(domain), 0, limit, [[order, "ASC"]], ["id", *fields], context=context
        )
        return found

    async def read(self, model: str, record: int, fields: Sequence[str]) -> Record:
        """One record."""
        rows: list[Record] = await self.call(f"model.{model}.read", [record], ["id", *fields])
        return rows[0]

    async def create(self, model: str, values: Record) -> int:
        """Make a record; its id."""
        ids: list[int] = await self.call(f"model.{model}.create", [values])
        return ids[0]

    async def write(self, model: str, ids: Sequence[int], values: Record) -> None:
        """Change records."""
        await self.call(f"model.{model}.write", list(ids), values)

    async def press(self, model: str, button: str, ids: Sequence[int], *, accept: Sequence[str] = ()) -> None:
        """Press a button of a form, answering yes to the questions named in ``accept`` and to no other."""
        await self._answering(accept, f"model.{model}.{button}", list(ids))

    async def _answering(
        self, accept: Sequence[str], method: str, *arguments: Any, context: Record | None = None
    ) -> None:
        for _ in range(len(accept) + 1):
            try:
                await self.call(method, *arguments, context=context)
            except AsksFirst as question:
                if not any(question.is_about(name) for name in accept):
                    raise
                await self.call("model.res.user.warning.skip", question.name, False)
            else:
                return

    async def wizard(
        self, name: str, model: str, ids: Sequence[int], *steps: tuple[Record, str], accept: Sequence[str] = ()
    ) -> None:
        """Walk through a wizard on these records, answering yes to the questions named in ``accept`` and to no other."""
        context = {"active_model": model, "active_ids": list(ids), "active_id": ids[0]}
        session, *_ = await self.call(f"wizard.{name}.create")
        entered: Record = {}
        for data, step in steps:
            entered |= data
            # When the answer is lost the step may still be at work: it keeps its session, which Tryton clears by itself.
            await self._answering(accept, f"wizard.{name}.execute", session, entered, step, context=context)
        await self.call(f"wizard.{name}.delete", session)

    async def _sign_in(self, dropped: str) -> None:
        """Open a session, unless another call has done so meanwhile. A wrong password is never tried twice."""
        async with self._signing_in:
            if self._ticket != dropped:
                return
            self._ticket = ""
            answer = await self._post("common.db.login", [self._user, {"password": self._password}], "")
            if not answer:
                raise Rejected("the ERP does not accept our password", code=http.UNAUTHENTICATED, system=SYSTEM)
            uid, token, *_ = answer
            ticket = base64.b64encode(f"{self._user}:{uid}:{token}".encode()).decode()
            self._context = await self._post("model.res.user.get_preferences", [True, {}], ticket)
            self._ticket = ticket

    async def _post(self, method: str, parameters: list[Any], ticket: str) -> Any:
        self._calls += 1
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Session {ticket}"} if ticket else {})
        body = json.dumps({"id": self._calls, "method": method, "params": parameters}, default=to_wire)
        request = self._client.build_request("POST", self._path, content=body, headers=headers)
        response = await http.send(self._client, request, system=SYSTEM)
        try:
            answer = json.loads(response.text, object_hook=from_wire)
            error, result = answer.get("error"), answer.get("result")
        except (ValueError, KeyError, AttributeError) as odd:
            raise Unavailable("the ERP's answer cannot be read", code="unreadable-answer", system=SYSTEM) from odd
        if error:
            raise _failure(error)
        return result


def _failure(error: Sequence[Any]) -> Rejected | Unavailable | Throttled:
    """What Tryton's exception means: of a refusal only the text, since the rest may be a dump of a hundred kilobytes."""
    kind, payload = str(error[0]), error[1] if len(error) > 1 else None
    texts = payload if isinstance(payload, list) else [payload]
    if kind == "UserError":
        return Rejected(f"the ERP refused: {http.cut(str(texts[0]))}", code="business-rule", system=SYSTEM)
    if kind == "UserWarning":
        return AsksFirst(str(texts[0]), str(texts[-1] if len(texts) < 2 else texts[1]))
    if kind == "RateLimitException":
        return Throttled("the ERP asks us to slow down", system=SYSTEM)
    if any(word in kind for word in TROUBLE):
        return Unavailable(f"the ERP is in trouble ({http.cut(kind)})", system=SYSTEM)
    return Rejected(f"the ERP failed on our request ({http.cut(kind)})", code="erp-fault", system=SYSTEM)


def to_wire(value: Any) -> Record:
    """What JSON has no word for, as Tryton writes it."""
    if isinstance(value, Decimal):
        return {"__class__": "Decimal", "decimal": format(value, "f")}
    if isinstance(value, datetime):
        return {"__class__": "datetime", **{part: getattr(value, part) for part in STAMP}}
    if isinstance(value, date):
        return {"__class__": "date", "year": value.year, "month": value.month, "day": value.day}
    if isinstance(value, timedelta):
        return {"__class__": "timedelta", "seconds": value.total_seconds()}
    raise TypeError(f"no wire form for {type(value).__name__}")


def from_wire(value: Record) -> Any:
    """The way back. Tryton's moments are UTC and do not say so."""
    match value.get("__class__"):
        case "Decimal":
            return Decimal(value["decimal"])
        case "date":
            return date(value["year"], value["month"], value["day"])
        case "datetime":
            return datetime(*(value[part] for part in STAMP))  # noqa: DTZ001
        case "timedelta":
            return timedelta(seconds=value["seconds"])
    return value
