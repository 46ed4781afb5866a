"""Our sender against our own door: what one writes the other reads, over a stop, a new start and TLS."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.mllp import MllpSender, MllpTarget, client_tls
from canonical.errors import Unavailable
from formats.mllp import Broken
from gateway.mllp import MllpDoor
from gateway.mllp_peer import Peer, server_tls
from tests.adapters.mllp_server import ack, message
from tests.certificates import Authority


class Answering:
    """Answers as HL7 does."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.shown: set[str] = set()

    async def take(self, frame: bytes, peer: Peer) -> bytes | None:
        control_id = frame.split(b"|")[9].decode()
        self.kept.append(control_id)
        self.shown.add(peer.certificate.subject if peer.certificate else "")
        return ack(control_id)

    async def broken(self, broken: Broken, peer: Peer) -> bytes | None:
        raise AssertionError(broken)


async def test_messages_go_on_after_the_door_was_closed_and_opened_again() -> None:
    corridor = Answering()
    door = MllpDoor(corridor)
    await door.start()
    host, port = door.address
    sender = MllpSender(MllpTarget("FASCIA", host, port), timeout=60, connect_timeout=60)
    assert (await sender.send(message("M1"), "M1")).accepted
    await door.stop()
    with pytest.raises(Unavailable):
        await sender.send(message("M2"), "M2")
    door = MllpDoor(corridor, host=host, port=port)
    await door.start()
    assert (await sender.send(message("M2"), "M2")).accepted
    await sender.close()
    await door.stop()
    assert corridor.kept == ["M1", "M2"]
    assert sender.counts.strays == 0


async def test_over_mutual_tls_the_door_knows_our_sender_by_its_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    theirs, ours = authority.issue("fascia"), authority.issue("ward")
    corridor = Answering()
    door = MllpDoor(corridor, tls=server_tls(theirs.certificate, theirs.key, client_authority=authority.certificate))
    await door.start()
    context = client_tls(authority.certificate, ours.certificate, ours.key)
    sender = MllpSender(MllpTarget("FASCIA", *door.address, tls=context), timeout=60)
    for number in range(50):
        assert (await sender.send(message(f"M{number}"), f"M{number}")).accepted
    await sender.close()
    await door.stop()
    assert corridor.kept == [f"M{number}" for number in range(50)]
    assert corridor.shown == {"O=Northfield General, CN=ward"}
