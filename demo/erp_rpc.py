"""How the demonstration talks to the hospital's ERP: as any of its users would, over its own remote procedure calls.

Tryton 8.2, JSON over HTTP. Deliberately simple: one session, no repeats. The platform has an adapter of its own.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

import httpx

LONGEST_ANSWER = 300
MOST_QUESTIONS = 5


class ErpRefused(Exception):
    """The ERP said no; ``kind`` is its word for why, ``name`` what a yes would be given to where it only asks."""

    def __init__(self, kind: str, text: str, name: str = "") -> None:
        super().__init__(f"{kind}: {text[:LONGEST_ANSWER]}")
        self.kind = kind
        self.text = text
        self.name = name


class ErpClient:
    """A user signed in to the ERP."""

    def __init__(self, url: str, database: str, user: str, password: str, timeout: float = 60.0) -> None:
        self._path = f"{url.rstrip('/')}/{database}/rpc/"
        self._user = user
        self._password = password
        # No connection is kept: the ERP may be stopped and started between two acts, a session outlives that.
        self._http = httpx.Client(timeout=timeout, limits=httpx.Limits(max_keepalive_connections=0), trust_env=False)
        self._calls = 0
        self.context: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self.sign_in()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Done with it."""
        self._http.close()

    def sign_in(self) -> Self:
        """Open a session; company and language of the user go along with every later call."""
        self._http.headers.pop("Authorization", None)
        uid, token, *_ = self._post("common.db.login", [self._user, {"password": self._password}])
        ticket = base64.b64encode(f"{self._user}:{uid}:{token}".encode()).decode()
        self._http.headers["Authorization"] = f"Session {ticket}"
        self.context = self._post("model.res.user.get_preferences", [True, {}])
        return self

    def call(self, method: str, *arguments: Any, context: dict[str, Any] | None = None) -> Any:
        """Any method of the ERP: ``model.<name>.<method>`` or ``wizard.<name>.<method>``."""
        return self._post(method, [*arguments, {**self.context, **(context or {})}])

    def create(self, model: str, **values: Any) -> int:
        """Make one record and return its id."""
        ids: list[int] = self.call(f"model.{model}.create", [values])
        return ids[0]

    def write(self, model: str, ids: Sequence[int], **values: Any) -> None:
        """Change records."""
        self.call(f"model.{model}.write", list(ids), values)

    def press(self, model: str, button: str, *ids: int) -> None:
        """Press a button of the ERP's form, and say yes to what it asks first, as someone at the screen would."""
        for _ in range(MOST_QUESTIONS):
            try:
                self.call(f"model.{model}.{button}", list(ids))
            except ErpRefused as refused:
                if refused.kind != "UserWarning":
                    raise
                self.call("model.res.user.warning.skip", refused.name, False)
            else:
                return
        raise ErpRefused("UserWarning", f"{model} {button}: no end of questions")

    def find(self, model: str, *domain: Any, fields: Sequence[str] = (), **context: Any) -> list[dict[str, Any]]:
        """The records that fit, with these fields and their id, oldest first."""
        rows: list[dict[str, Any]] = self.call(
            f"model.{model}.search_read", list(domain), 0, None, [["id", "ASC"]], ["id", *fields], context=context
        )
        return rows

    def one(self, model: str, *domain: Any, fields: Sequence[str] = (), **context: Any) -> dict[str, Any]:
        """The one record that fits.

        Raises:
            LookupError: there is none, or more than one.
        """
        rows = self.find(model, *domain, fields=fields, **context)
        if len(rows) != 1:
            raise LookupError(f"{model} {domain}: {len(rows)} found")
        return rows[0]

    def shipped_id(self, module: str, name: str) -> int:
        """The id of a record that came with a module; ids differ from database to database."""
        found: int = self.call("model.ir.model.data.get_id", module, name)
        return found

    def wizard(self, name: str, *steps: tuple[dict[str, Any], str], model: str = "", ids: Sequence[int] = ()) -> Any:
        """Walk through a wizard; returns what its last step answers."""
        context = {"active_model": model, "active_ids": list(ids), "active_id": ids[0]} if ids else {}
        session = self.call(f"wizard.{name}.create")[0]
        answer: Any = None
        entered: dict[str, Any] = {}
        try:
            for data, step in steps:
                entered |= data
                answer = self.call(f"wizard.{name}.execute", session, entered, step, context=context)
        finally:
            self.call(f"wizard.{name}.delete", session)
        return answer

    def _post(self, method: str, parameters: list[Any]) -> Any:
        self._calls += 1
        body = json.dumps({"id": self._calls, "method": method, "params": parameters}, default=_to_wire)
        answer = self._http.post(self._path, content=body, headers={"Content-Type": "application/json"})
        if answer.status_code != httpx.codes.OK:
            raise ErpRefused(f"HTTP {answer.status_code}", answer.text)
        read = json.loads(answer.text, object_hook=_from_wire)
        if error := read.get("error"):
            kind, *payload = error
            said = payload[0] if payload and isinstance(payload[0], list) else payload
            if kind == "UserWarning":
                raise ErpRefused(kind, str(said[1]), str(said[0]))
            raise ErpRefused(str(kind), str(said[0] if said else ""))
        return read["result"]


def _to_wire(value: Any) -> dict[str, Any]:
    if isinstance(value, Decimal):
        return {"__class__": "Decimal", "decimal": str(value)}
    if isinstance(value, datetime):
        parts = ("year", "month", "day", "hour", "minute", "second", "microsecond")
        return {"__class__": "datetime", **{part: getattr(value, part) for part in parts}}
    if isinstance(value, date):
        return {"__class__": "date", "year": value.year, "month": value.month, "day": value.day}
    if isinstance(value, timedelta):
        return {"__class__": "timedelta", "seconds": value.total_seconds()}
    raise TypeError(f"no wire form for {type(value).__name__}")


def _from_wire(value: dict[str, Any]) -> Any:
    match value.get("__class__"):
        case "Decimal":
            return Decimal(value["decimal"])
        case "date":
            return date(value["year"], value["month"], value["day"])
        case "datetime":
            return datetime(*(value[p] for p in ("year", "month", "day", "hour", "minute", "second", "microsecond")))  # noqa: DTZ001 the ERP's times are UTC without saying so
        case "timedelta":
            return timedelta(seconds=value["seconds"])
    return value
