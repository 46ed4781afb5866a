"""Every answer of an outside system becomes one of our four failures, in one place."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from adapters import http
from canonical.errors import FasciaError, Rejected, Throttled, Unavailable


async def answered(answer: Callable[[httpx.Request], httpx.Response]) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        return await http.send(client, client.build_request("GET", "http://erp.invalid/"), system="erp")


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (400, Rejected),
        (401, Rejected),
        (403, Rejected),
        (404, Rejected),
        (408, Unavailable),
        (422, Rejected),
        (423, Unavailable),
        (429, Throttled),
        (500, Unavailable),
        (502, Unavailable),
        (503, Unavailable),
        (504, Unavailable),
    ],
)
async def test_a_status_becomes_its_failure(status: int, failure: type[FasciaError]) -> None:
    with pytest.raises(failure) as raised:
        await answered(lambda _: httpx.Response(status, text="no"))
    assert type(raised.value) is failure
    assert raised.value.system == "erp"


async def test_a_good_answer_passes() -> None:
    assert (await answered(lambda _: httpx.Response(201, text="made"))).text == "made"


async def test_credentials_not_accepted_can_be_told_from_other_refusals() -> None:
    with pytest.raises(Rejected) as raised:
        await answered(lambda _: httpx.Response(401))
    assert raised.value.code == http.UNAUTHENTICATED


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        *(("7", 7.0), ("", 1.0), ("soon", 1.0), ("31536000", 3600.0), ("9" * 400, 3600.0)),
        *(("Fri, 31 Dec 9999 23:59:59 GMT", 3600.0), ("Fri, 31 Dec 9999 23:59:59 -1200", 1.0)),
    ],
)
async def test_a_system_that_asks_us_to_slow_down_is_given_its_time(told: str, seconds: float) -> None:
    with pytest.raises(Throttled) as raised:
        await answered(lambda _: httpx.Response(429, headers={"Retry-After": told}))
    assert raised.value.retry_after == seconds


@pytest.mark.parametrize("lost", [httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError])
async def test_no_answer_is_unavailable_since_the_work_may_have_been_done(lost: type[httpx.TransportError]) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise lost("http://erp.invalid/?password=s3cret", request=request)

    with pytest.raises(Unavailable) as raised:
        await answered(fail)
    assert "s3cret" not in str(raised.value)


async def test_a_page_of_reasons_is_cut() -> None:
    with pytest.raises(Rejected) as raised:
        await answered(lambda _: httpx.Response(400, text="why not " * 10_000))
    assert len(raised.value.message) < 400
