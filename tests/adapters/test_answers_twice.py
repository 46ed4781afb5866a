"""A system that answers every call twice: the second answer is never taken for the answer to the next call, which is about another."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from adapters.erp.tryton.rpc import TrytonRpc
from adapters.registry import TARGETS, ErpAccess, TargetWays, _client
from canonical.access import AccessTarget
from canonical.people_ports import ClinicianTarget
from demo import accounts, scheduling
from demo.http_peer import Answer, Asked, serving
from demo.trouble import Trouble, behave
from tests.adapters.contract_targets import nobody_any_more, somebody


@contextmanager
def running(server: ThreadingHTTPServer) -> Iterator[str]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def target(kind: str, adapter: str, url: str, home: Path) -> ClinicianTarget:
    """As the platform makes it."""
    row = AccessTarget.model_validate({"code": "T", "kind": kind, "adapter": adapter, "url": url, "timeout": 60})
    ways = TargetWays(home, cast(Any, None), cast(Any, None), cast(Any, None))
    return TARGETS[adapter](row, ways)


async def all_right(system: ClinicianTarget, *groups: str) -> None:
    """Three people are given, changed and taken away in turn, and each is seen as wanted every time."""
    crowd = [somebody(groups=groups) for _ in range(3)]
    for wanted in (*crowd, *map(nobody_any_more, crowd)):
        assert (await system.write(wanted)).as_wanted
    for one in crowd:
        assert not (await system.look(nobody_any_more(one))).active
        assert not (await system.look(one)).as_wanted


async def test_of_accounts(tmp_path: Path) -> None:
    with running(accounts.server(tmp_path, 0)) as url:
        behave(tmp_path, "accounts", "twice")
        await all_right(target("identity", "scim", f"{url}/v2", tmp_path), "ehr-view", "staff")
    stands = accounts.accounts(tmp_path).values()
    assert [(one["count"], one["active"], one["groups"]) for one in stands] == [(1, False, [])] * 3


async def test_of_a_schedule(tmp_path: Path) -> None:
    with running(scheduling.server(tmp_path, 0)) as url:
        behave(tmp_path, "scheduling", "twice")
        await all_right(target("scheduling", "rest_scheduling", url, tmp_path))
    assert [one["eligible"] for one in scheduling.records(tmp_path).values()] == [False] * 3


class Books:
    """Answers a remote call of the ERP's with its own name."""

    name = "books"

    def __init__(self, home: Path) -> None:
        self.home = home

    def about(self, asked: Asked) -> str:
        return ""

    def refused(self, asked: Asked, now: Trouble) -> Answer | None:
        return None

    def answer(self, asked: Asked) -> Answer:
        call = json.loads(asked.body)
        said: Any = call["method"]
        if said == "common.db.login":
            said = [1, "session"]
        elif said == "model.res.user.get_preferences":
            said = {}
        return Answer(200, json.dumps({"id": call["id"], "result": said}).encode())

    def failing(self, status: int, why: str) -> Answer:
        return Answer(status)


@pytest.mark.parametrize("line", ["", "twice"])
async def test_of_an_erp(tmp_path: Path, line: str) -> None:
    behave(tmp_path, "books", *([line] if line else []))
    with running(serving(Books(tmp_path), 0)) as url:
        rpc = TrytonRpc(_client(ErpAccess(url, "D", "u", "p")), url, "D", "u", "p")
        asked = [f"model.company.employee.read{number}" for number in range(6)]
        assert [await rpc.call(name) for name in asked] == asked
        await rpc.close()
