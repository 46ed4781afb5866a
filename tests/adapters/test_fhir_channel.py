"""A FHIR server is told of each charge once, whatever happens on the way; its words count as an HL7 target's would."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from adapters.fhir_channel import FhirSender, FhirTarget
from canonical.errors import Rejected, Unavailable

CHARGE = {"resourceType": "ChargeItem", "identifier": [{"system": "urn:x", "value": "c-1"}], "status": "billable"}


class Server(ThreadingHTTPServer):
    """Billing's FHIR server: keeps charge items by identifier, as conditional create and update ask."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.items: dict[str, str] = {}
        self.trees: dict[str, Any] = {}
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.says: list[int] = []

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/fhir"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        return

    def do_POST(self) -> None:
        self._take(new=True)

    def do_PUT(self) -> None:
        self._take(new=False)

    def _take(self, *, new: bool) -> None:
        tree = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append((self.command, self.path, dict(self.headers)))
        status = self.server.says.pop(0) if self.server.says else 0
        if status < 400:
            query = self.headers.get("If-None-Exist", "") if new else self.path.partition("?")[2]
            if not (new and query in self.server.items):
                self.server.items[query] = tree.get("status", "")
                self.server.trees[query] = tree
        issue = {"resourceType": "OperationOutcome", "issue": [{"code": "invalid", "diagnostics": "no such code"}]}
        body = json.dumps(issue).encode() if status >= 400 else b""
        self.send_response(status or 201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def sent(**changes: str) -> bytes:
    return json.dumps(CHARGE | changes).encode()


async def test_a_charge_that_comes_twice_is_made_once(server: Server) -> None:
    one = FhirSender(FhirTarget("BILLING", server.base))
    await one.connect()
    assert [(await one.send(sent(), "X1")).code for _ in range(2)] == ["AA", "AA"]
    await one.close()
    assert list(server.items.values()) == ["billable"]
    method, path, headers = server.seen[0]
    assert (method, path, headers["If-None-Exist"]) == ("POST", "/fhir/ChargeItem", "identifier=urn%3Ax%7Cc-1")
    assert headers["Content-Type"] == "application/fhir+json; fhirVersion=5.0"


async def test_what_is_taken_back_changes_the_same_charge_and_a_late_repeat_does_not_bring_it_back(
    server: Server,
) -> None:
    one = FhirSender(FhirTarget("BILLING", server.base, keep=False))
    for status in ("billable", "entered-in-error", "billable"):
        assert (await one.send(sent(status=status), "X1")).accepted
    assert server.items == {"identifier=urn%3Ax%7Cc-1": "entered-in-error"}


async def test_a_refusal_is_a_no_with_its_words_and_trouble_is_no_answer(server: Server) -> None:
    one = FhirSender(FhirTarget("BILLING", server.base))
    server.says = [422, 503, 429]
    answer = await one.send(sent(), "X1")
    assert (answer.code, answer.text, answer.control_id) == ("AR", "HTTP 422 no such code", "X1")
    for _ in range(2):
        with pytest.raises(Unavailable, match="in trouble"):
            await one.send(sent(), "X1")
    assert (await one.send(sent(), "X1")).accepted
    await one.close()


async def test_the_token_is_shown_and_a_server_that_knows_us_not_is_no_fault_of_the_message(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("a-token\n")
    one = FhirSender(FhirTarget("BILLING", server.base, release="r4b", token=tmp_path / "token"))
    server.says = [401]
    with pytest.raises(Rejected) as refused:
        await one.send(sent(), "X1")
    assert refused.value.code == "unauthenticated"
    assert (await one.send(sent(), "X1")).accepted
    await one.close()
    assert [headers["Authorization"] for _, _, headers in server.seen] == ["Bearer a-token"] * 2
    assert server.seen[0][2]["Content-Type"].endswith("4.3")


async def test_nobody_there_is_known_before_anything_is_sent() -> None:
    one = FhirSender(FhirTarget("BILLING", "http://127.0.0.1:9/fhir"))
    with pytest.raises(Unavailable, match="does not listen"):
        await one.connect()
    with pytest.raises(Unavailable, match="did not answer"):
        await one.send(sent(), "X1")


async def test_what_has_no_identifier_is_not_sent(server: Server) -> None:
    one = FhirSender(FhirTarget("BILLING", server.base))
    for wrong in (b"no json", b'{"resourceType": "ChargeItem"}'):
        with pytest.raises(Rejected) as refused:
            await one.send(wrong, "X1")
        assert refused.value.code == "data-invalid"
    assert not server.seen
