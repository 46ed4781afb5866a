"""Messages and answers in frames, for tests of the MLLP door."""

from __future__ import annotations

ONE = b"MSH|^~\\&|WARD|NGH|FASCIA|NGH|20261102||OMS^O05|1|P|2.5.1\r"


def numbered(count: int) -> list[bytes]:
    return [b"MSH|%d" % number for number in range(count)]


def acks(frames: list[bytes]) -> list[bytes]:
    return [b"ACK " + frame for frame in frames]
