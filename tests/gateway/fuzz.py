"""Damage of every kind to HL7 messages and their frames, by seed: what comes out is anything but what was meant."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from formats.mllp import END, FS, VT, wrap
from tests.formats.hl7_files import ALL, sample
from tests.gateway.hl7_house import head, order, text

MARKS: Final = (
    VT,
    FS,
    b"\r",
    b"\n",
    b"\x00",
    b"|",
    b"^",
    b"~",
    b"\\",
    b"&",
    b"\xff",
    b"\xc3",
    b"\x1b",
    b" ",
    END,
    VT + FS,
)
VALUES: Final = (
    "",
    '""',
    "0",
    "-1",
    "1e999",
    "NaN",
    "9" * 400,
    "1.000000000000000000000000001",
    "20269999",
    "20261102081500.99999+2500",
    "A" * 5000,
    "~" * 60,
    "^" * 60,
    "&&&&",
    "\\",
    "\\X0D0A1C\\",
    "\\E\\F\\T\\",
    "\\.sp+99999\\",
    "Jörg\u2028\u0000",
    "\U0001f489",
    "'; DROP TABLE messages; --",
    "${jndi:ldap://x}",
    "%s%n",
    "../../etc/passwd",
    "=cmd|' /C calc'!A0",
)
HEADS: Final = {  # by field of MSH
    9: (
        "ADT",
        "ADT^A01^ADT_A01",
        "OMS^O05",
        "MFN^M05",
        "MFN^M16",
        "ACK",
        "X^Y^Z^Q",
        "^^",
        "OMN^O07^OMN_O07",
        "DFT^P03",
        "adt^a01",
    ),
    10: ("", " ", "W-1", "1" * 250, "a^b", "\u00e9", "N/A"),
    11: ("", "T", "D^A", "P^Z"),
    12: ("", "2.3", "2.4", "2.5.1", "2.7", "2.8.2", "3.0", "2.5.1^DEU", "2"),
    15: ("", "AL", "NE", "ER", "SU", "XX"),
    16: ("", "AL", "NE", "ER", "SU"),
    18: ("", "UNICODE UTF-8", "8859/1", "UNICODE UTF-16", "ISO IR87", "ASCII", "nonsense", "8859/1~ISO IR87"),
}

Damage = Callable[[random.Random, bytes], bytes]


def corpus() -> list[bytes]:
    """What is whole before it is damaged."""
    admit = text(head("W-2", "ADT^A08"), "EVN||20261102", "PID|1||7^^^NGH^MR||TEST^A", "PV1|1|I")
    enhanced = order("W-3", rest="|||AL|AL")
    batch = text("BHS|^~\\&|WARDSYS") + order("W-4") + admit + text("BTS|2")
    return [
        order(),
        admit,
        enhanced,
        batch,
        text("FHS|^~\\&|X") + batch + text("FTS|1"),
        *(sample(name) for name in ALL),
    ]


def stream(chance: random.Random, whole: list[bytes]) -> bytes:
    """One damaged message as it comes by a connection, in its frame or what is left of that."""
    data = chance.choice(whole)
    if chance.random() < 0.8 and data.startswith(b"MSH"):  # else its number has come before
        data = _with(data, 10, b"F%d" % chance.getrandbits(60))
    for _ in range(chance.randrange(4)):
        data = chance.choice(DAMAGES)(chance, data)
    framed = wrap(data)
    odd = chance.randrange(12)
    if odd == 0:
        return _bytes(chance, framed)
    if odd == 1:
        return framed[: chance.randrange(len(framed))]
    if odd == 2:
        return chance.choice((b"\r\n", b"noise", bytes(5), VT, END)) + framed
    if odd == 3:
        return data + END
    return framed


def _bytes(chance: random.Random, data: bytes) -> bytes:
    """A few bytes changed, lost, doubled or put in."""
    out = bytearray(data)
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(out) + 1)
        kind = chance.randrange(5)
        if kind == 0:
            out[at:at] = chance.choice(MARKS)
        elif kind == 1:
            del out[at : at + chance.randrange(1, 20)]
        elif kind == 2 and at < len(out):
            out[at] = chance.randrange(256)
        elif kind == 3:
            out[at:at] = out[at : at + chance.randrange(1, 60)]
        else:
            out[at:at] = chance.randbytes(chance.randrange(1, 8))
    return bytes(out)


def _field(chance: random.Random, data: bytes) -> bytes:
    """A field with another value."""
    segments = data.split(b"\r")
    at = chance.randrange(len(segments))
    fields = segments[at].split(b"|")
    value = chance.choice(VALUES).encode(chance.choice(("utf-8", "utf-8", "latin-1", "utf-16-le")), "replace")
    fields[chance.randrange(len(fields))] = value
    segments[at] = b"|".join(fields)
    return b"\r".join(segments)


def _head(chance: random.Random, data: bytes) -> bytes:
    """A field of the header with another value."""
    number = chance.choice(list(HEADS))
    return _with(data, number, chance.choice(HEADS[number]).encode())


def _with(data: bytes, number: int, value: bytes) -> bytes:
    """With this value in a field of the header."""
    first, end, rest = data.partition(b"\r")
    fields = first.split(b"|")
    fields += [b""] * (number - len(fields))
    fields[number - 1] = value
    return b"|".join(fields) + end + rest


def _segments(chance: random.Random, data: bytes) -> bytes:
    """Segments lost, doubled, in another order, of another name, or with other ends."""
    segments = data.split(b"\r")
    at, other = chance.randrange(len(segments)), chance.randrange(len(segments))
    kind = chance.randrange(6)
    if kind == 0:
        del segments[at]
    elif kind == 1:
        segments.insert(other, segments[at])
    elif kind == 2:
        segments[at], segments[other] = segments[other], segments[at]
    elif kind == 3:
        segments[at] = (
            chance.choice((b"ZZZ", b"pid", b"QQ", b"MSH", b"OBX", b"MSA", b"\xe9\xe9\xe9")) + segments[at][3:]
        )
    elif kind == 4:
        segments = segments[: at + 1] * chance.randrange(1, 30) + segments[at + 1 :]
    else:
        return chance.choice((b"\n", b"\r\n", b"\r\r")).join(segments)
    return b"\r".join(segments)


def _separators(chance: random.Random, data: bytes) -> bytes:
    """Other separators than the header says, or a header that says others."""
    if chance.random() < 0.5:
        return data.replace(b"|", chance.choice((b"#", b"*", b"\x09", b"||", b"^")))
    return data.replace(b"^~\\&", chance.choice((b"", b"^", b"^^^^", b"^~\\&#", b"~^\\&", b"|~\\&", b"^~\\&|^~\\&")), 1)


def _sets(chance: random.Random, data: bytes) -> bytes:
    """The same in another character set than it says."""
    words = data.decode("utf-8", "replace").replace("Glove", "Gänd\u00fc")
    return words.encode(chance.choice(("latin-1", "utf-16", "utf-16-be", "utf-8-sig", "cp037", "shift_jis")), "replace")


def _cut(chance: random.Random, data: bytes) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


DAMAGES: Final[tuple[Damage, ...]] = (_bytes, _field, _field, _head, _head, _segments, _separators, _sets, _cut)
