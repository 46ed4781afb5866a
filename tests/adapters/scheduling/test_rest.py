"""The scheduling system over REST: the suite, and what only a server in trouble can show."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from adapters.scheduling.rest import RestScheduling
from canonical.access import AccessTarget
from canonical.errors import Rejected, Throttled, Unavailable
from demo import scheduling
from tests.adapters.contract_targets import TargetContract, nobody_any_more, somebody

TOKEN = "of-this-run"


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[str]:
    served = scheduling.server(tmp_path, 0, TOKEN)
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{served.server_address[1]}"
    served.shutdown()
    served.server_close()
    thread.join()


@pytest.fixture
async def system(peer: str, tmp_path: Path) -> AsyncIterator[RestScheduling]:
    token = tmp_path / "token"
    token.write_text(TOKEN + "\n")
    target = AccessTarget(code="T", kind="scheduling", adapter="rest_scheduling", url=peer)
    made = RestScheduling(httpx.AsyncClient(timeout=3, trust_env=False), target, token)
    yield made
    await made.close()


class TestRestScheduling(TargetContract):
    """A scheduling system of the hospital's."""


def behave(home: Path, how: str) -> None:
    scheduling.trouble_file(home).write_text(how)


async def test_an_answer_that_was_lost_is_found_done_when_it_is_written_again(
    system: RestScheduling, tmp_path: Path
) -> None:
    wanted = somebody()
    behave(tmp_path, "lost")
    with pytest.raises(Unavailable):
        await system.write(wanted)
    assert wanted.person in scheduling.records(tmp_path)
    behave(tmp_path, "")
    assert (await system.write(wanted)).as_wanted


async def test_a_late_answer_is_no_answer(system: RestScheduling, tmp_path: Path) -> None:
    behave(tmp_path, "slow 6")
    with pytest.raises(Unavailable):
        await system.write(somebody())


async def test_a_busy_system_says_when_to_come_back(system: RestScheduling, tmp_path: Path) -> None:
    behave(tmp_path, "busy 7")
    with pytest.raises(Throttled) as busy:
        await system.look(somebody())
    assert busy.value.retry_after == 7


async def test_one_that_is_down_is_asked_again_later(system: RestScheduling, tmp_path: Path) -> None:
    behave(tmp_path, "down")
    with pytest.raises(Unavailable):
        await system.look(somebody())


async def test_a_wrong_token_is_for_a_person(system: RestScheduling, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("another")
    with pytest.raises(Rejected) as refused:
        await system.look(somebody())
    assert refused.value.code == "unauthenticated"


async def test_a_token_nobody_can_read_names_the_target_only(system: RestScheduling, tmp_path: Path) -> None:
    (tmp_path / "token").unlink()
    with pytest.raises(Rejected) as refused:
        await system.look(somebody())
    assert str(tmp_path) not in refused.value.message


async def test_who_has_left_is_nobody_by_name(system: RestScheduling, tmp_path: Path) -> None:
    wanted = somebody()
    await system.write(wanted)
    assert scheduling.records(tmp_path)[wanted.person]["displayName"] == "Ashgrove, Perpetua"
    await system.write(nobody_any_more(wanted))
    record = scheduling.records(tmp_path)[wanted.person]
    assert (record["displayName"], record["assignments"], record["eligible"]) == ("", [], False)


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422])
async def test_a_refusal_that_repeats_a_name_is_told_without_it(status: int) -> None:
    def refuses(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(404)
        return httpx.Response(status, text="Ashgrove, Perpetua cannot be scheduled here")

    client = httpx.AsyncClient(transport=httpx.MockTransport(refuses))
    target = AccessTarget(code="T", kind="scheduling", adapter="rest_scheduling", url="http://roster")
    with pytest.raises(Rejected) as refused:
        await RestScheduling(client, target).write(somebody())
    assert str(status) in refused.value.message and "Ashgrove" not in refused.value.message
    await client.aclose()
