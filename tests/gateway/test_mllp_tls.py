"""The MLLP door over TLS: who may talk to it, what it learns of them, and what it says of those it turns away."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from canonical.errors import Rejected
from formats.mllp import Fault, wrap
from gateway.mllp_peer import Limits, server_tls
from tests.certificates import Authority, Issued
from tests.gateway.mllp_client import Sender, ask_over_tls
from tests.gateway.mllp_corridor import NotingCorridor, door, soon

ONE = b"MSH|^~\\&|WARD|NGH\r"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def ours(authority: Authority) -> Issued:
    return authority.issue("fascia")


def client(authority: Authority, shows: Issued | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.certificate)
    if shows is not None:
        context.load_cert_chain(shows.certificate, shows.key)
    return context


async def test_frames_over_tls_are_answered_in_order(authority: Authority, ours: Issued) -> None:
    corridor, frames = NotingCorridor(), [b"MSH|%d" % n for n in range(300)]
    async with door(corridor, tls=server_tls(ours.certificate, ours.key)) as opened:
        data = b"".join(map(wrap, frames))
        pieces = [data[at : at + 777] for at in range(0, len(data), 777)]
        told = await ask_over_tls(opened.address, client(authority), *pieces, answers=300)
    assert told == [b"ACK " + frame for frame in frames]
    assert corridor.peers[0].certificate is None, "it did not have to show one"


async def test_a_sender_known_by_its_certificate_is_told_to_the_corridor(authority: Authority, ours: Issued) -> None:
    corridor, ward = NotingCorridor(), authority.issue("ward.northfield.example")
    context = server_tls(ours.certificate, ours.key, client_authority=authority.certificate)
    async with door(corridor, tls=context) as opened:
        assert await ask_over_tls(opened.address, client(authority, ward), wrap(ONE), answers=1) == [b"ACK " + ONE]
    (peer,) = corridor.peers
    assert peer.certificate is not None
    assert peer.certificate.subject == "O=Northfield General, CN=ward.northfield.example"
    der = ssl.PEM_cert_to_DER_cert(ward.certificate.read_text())
    assert peer.certificate.fingerprint == hashlib.sha256(der).hexdigest()


async def test_who_shows_no_certificate_a_strangers_or_an_old_one_is_turned_away_and_counted(
    authority: Authority, ours: Issued, tmp_path: Path
) -> None:
    corridor = NotingCorridor()
    stranger, old = Authority(tmp_path).issue("stranger"), authority.issue("old", days=-1)
    context = server_tls(ours.certificate, ours.key, client_authority=authority.certificate)
    async with door(corridor, tls=context) as opened:
        with capture_logs() as logs:
            for shows in (None, stranger, old):
                try:
                    assert await ask_over_tls(opened.address, client(authority, shows), wrap(ONE), answers=1) == []
                except OSError as refused:
                    assert isinstance(refused, ssl.SSLError | ConnectionError)
            await soon(lambda: opened.snapshot().handshakes_failed == 3)
        await soon(lambda: opened.snapshot().connections == 0)
    assert corridor.kept == []
    reasons = [line["reason"] for line in logs if line["log_level"] == "warning"]
    assert "PEER_DID_NOT_RETURN_A_CERTIFICATE" in reasons[0]
    assert "certificate has expired" in reasons[2], "an operator sees what to do"


async def test_a_handshake_that_goes_nowhere_counts_as_a_connection_and_holds_up_nobody(
    authority: Authority, ours: Issued
) -> None:
    corridor = NotingCorridor()
    async with door(
        corridor, tls=server_tls(ours.certificate, ours.key), limits=Limits(connections=2, share=1)
    ) as opened:
        silent = await Sender.connect(opened.address)
        await soon(lambda: opened.snapshot().connections == 1)
        assert await ask_over_tls(opened.address, client(authority), wrap(ONE), answers=1) == [b"ACK " + ONE]
        plain = await Sender.connect(opened.address)
        await plain.send(wrap(ONE))
        await plain.until_closed()
        await soon(lambda: opened.snapshot().handshakes_failed == 1)
        silent.close()
        plain.close()
        await soon(lambda: opened.snapshot().connections == 0)
    assert corridor.kept == [ONE], "nothing is read in clear where TLS is asked for"


async def test_a_frame_cut_off_over_tls_is_told(authority: Authority, ours: Issued) -> None:
    corridor = NotingCorridor()
    async with door(corridor, tls=server_tls(ours.certificate, ours.key)) as opened:
        await ask_over_tls(opened.address, client(authority), wrap(ONE), wrap(ONE)[:-1], answers=1)
        await soon(lambda: bool(corridor.faults))
        await soon(lambda: opened.snapshot().connections == 0)
    assert [fault for fault, _ in corridor.faults] == [Fault.TRUNCATED]


async def test_a_stop_over_tls_answers_what_is_in_work(authority: Authority, ours: Issued) -> None:
    corridor = NotingCorridor()
    hold = corridor.hold()
    async with door(corridor, tls=server_tls(ours.certificate, ours.key)) as opened:
        asking = asyncio.create_task(ask_over_tls(opened.address, client(authority), wrap(ONE), answers=2))
        await soon(lambda: bool(corridor.kept))
        stopping = asyncio.create_task(opened.stop(within=60))
        await asyncio.sleep(0.05)
        hold.set()
        assert await asking == [b"ACK " + ONE]
        assert await stopping == 0


def test_files_that_do_not_belong_together_are_refused_when_the_door_is_built(
    authority: Authority, ours: Issued
) -> None:
    other = authority.issue("other")
    for certificate, key, trusted in (
        (ours.certificate, other.key, None),
        (Path("missing.pem"), ours.key, None),
        (ours.certificate, ours.key, Path("missing.pem")),
    ):
        with pytest.raises(Rejected) as refused:
            server_tls(certificate, key, client_authority=trusted)
        assert refused.value.code == "configuration"
