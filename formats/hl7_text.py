"""Character sets and escapes of HL7: which letters the bytes of a message stand for, and the way back.

HL7 v2 chapter 2.7 (escape sequences), MSH-18 and table 0211 (character sets). Nothing is guessed: bytes that do not fit the
set a message names are a fault with its place.
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache
from typing import NamedTuple

from formats.hl7_faults import TABLE_VALUE, Fault, Unreadable

DEFAULT_SET = "UNICODE UTF-8"  # where MSH-18 is empty; the standard's default, ASCII, is a part of it
NULL = '""'  # "there is no value any more", unlike a field that was not sent

WIDE = ("utf-16", "utf-32")  # how their codecs' names begin
ISO_2022 = "iso2022_jp_ext"

_SETS = {
    "ASCII": "ascii",
    "USASCII": "ascii",
    "ISOIR6": "ascii",
    **{f"{prefix}8859{part}": f"iso8859-{part}" for prefix in ("", "ISO") for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
    "WINDOWS1252": "cp1252",
    "UNICODE": "utf-8",
    "UNICODEUTF8": "utf-8",
    "UTF8": "utf-8",
    "UNICODEUTF16": "utf-16",
    "UTF16": "utf-16",
    "UNICODEUTF32": "utf-32",
    "UTF32": "utf-32",
    "ISOIR13": ISO_2022,
    "ISOIR14": ISO_2022,
    "ISOIR87": ISO_2022,
    "ISOIR159": ISO_2022,
    "GB180302000": "gb18030",
    "KSX1001": "euc_kr",
    "BIG5": "big5",
}
_WIDE_STARTS = (  # longest first: the mark of UTF-32 begins with that of UTF-16
    (b"\x00\x00\xfe\xff", "utf-32-be", 4),
    (b"\xff\xfe\x00\x00", "utf-32-le", 4),
    (b"\x00\x00\x00M", "utf-32-be", 0),
    (b"M\x00\x00\x00", "utf-32-le", 0),
    (b"\xfe\xff", "utf-16-be", 2),
    (b"\xff\xfe", "utf-16-le", 2),
    *((bytes((0, first)), "utf-16-be", 0) for first in b"MFB"),
    *((bytes((first, 0)), "utf-16-le", 0) for first in b"MFB"),
)
_UTF8_MARK = b"\xef\xbb\xbf"
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_UNFIT = (
    ("\x00", "NUL"),
    ("\x0b", "VT"),
    ("\x1c", "FS"),
)  # what no store takes, and what ends a frame where it is forwarded
_NOT_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


class Marks(NamedTuple):
    """The characters one message is written with: MSH-1 and MSH-2. Empty where the sender names none."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"
    truncation: str = ""

    @property
    def encoding(self) -> str:
        """MSH-2 as it was sent."""
        return self.component + self.repetition + self.escape + self.subcomponent + self.truncation


STANDARD = Marks()


def wide(data: bytes) -> tuple[str, int]:
    """The codec of a text of two or four bytes a character, or of one with a UTF-8 mark, and the length of the mark.

    An empty codec says that MSH can be read as ASCII.
    """
    if data[:1] == b"M" and data[1:2] != b"\x00":
        return "", 0
    if data.startswith(_UTF8_MARK):
        return "utf-8", len(_UTF8_MARK)
    return next(((codec, mark) for start, codec, mark in _WIDE_STARTS if data.startswith(start)), ("", 0))


@lru_cache(maxsize=512)
def codec_of(declared: str, repetition: str = "~") -> str:
    """The codec for MSH-18, empty where there is none for it. ``declared`` is the whole field with its repetitions.

    The first set is the one in force; the Japanese sets are switched to by ISO 2022 sequences, so one codec reads them all.
    """
    names = declared.split(repetition) if repetition else [declared]
    found = [_SETS.get(re.sub(r"[^A-Z0-9]", "", name.upper()), "") if name.strip() else "ascii" for name in names]
    if "" in found:
        return ""
    if ISO_2022 in found:
        return ISO_2022 if set(found) <= {"ascii", ISO_2022} else ""
    return found[0]


def decoded(data: bytes, codec: str, mark: int = 0) -> str:
    """The text of a message.

    Raises:
        Unreadable: bytes that do not fit the character set, NUL, VT or FS; ``fault`` says in which segment and field.
    """
    body = data[mark:] if mark else data
    if codec == ISO_2022 and not body.isascii():  # of seven bits; the codec lets some others through
        raise Unreadable(_misfit(body, next(at for at, byte in enumerate(body) if byte > 0x7F), codec, mark))
    try:
        text = codecs.decode(body, codec)
    except UnicodeDecodeError as broken:
        raise Unreadable(_misfit(body, broken.start, codec, mark)) from None
    except (UnicodeError, LookupError):
        raise Unreadable(_misfit(body, 0, codec, mark)) from None
    for sign, name in _UNFIT:
        if sign in text:
            at = len(text[: text.index(sign)].encode(codec)) if codec[:6] in WIDE else body.index(sign.encode())
            raise Unreadable(_misfit(body, at, codec, mark, what=f"is {name}, which is not text"))
    return text


def _misfit(body: bytes, at: int, codec: str, mark: int, what: str = "") -> Fault:
    before = re.split(r"[\r\n]+", body[:at].decode(codec, "replace").replace("\ufffd", ""))
    line = before[-1]
    name, separator = line[:3], line[3:4]
    text = f"Byte {at + mark} {what or f'does not fit the character set ({codec})'}"
    if not separator or not (name.isascii() and name.isalnum() and name.isupper()):
        return Fault(TABLE_VALUE, "character-set", text, "MSH", 1, 18)
    field = line.count(separator) + (name == "MSH")
    sequence = sum(one[:4] == name + separator for one in before)
    return Fault(TABLE_VALUE, "character-set", text, name, sequence, field)


@lru_cache(maxsize=64)
def _escapes(mark: str) -> re.Pattern[str]:
    one = re.escape(mark)
    return re.compile(f"{one}([^{one}\r\n]{{0,200}}){one}")


def unescape(text: str, marks: Marks = STANDARD, codec: str = "utf-8") -> str:
    r"""Wire text as text. A sequence we do not know (``\Zxx\``, ``\Cxxyy\``, a lone mark) is kept as it came.

    ``\.br\`` and ``\.sp\`` become a line break; ``\H\`` and ``\N\`` (highlighting on, off) have no letters and go.
    """
    mark = marks.escape
    if not mark or mark not in text:
        return text
    plain = {"F": marks.field, "S": marks.component, "T": marks.subcomponent, "R": marks.repetition, "E": mark}
    plain |= {"P": marks.truncation or f"{mark}P{mark}", "H": "", "N": "", ".br": "\n", ".sp": "\n"}

    def one(found: re.Match[str]) -> str:
        inside = found[1]
        if inside in plain:
            return plain[inside]
        if inside[:1] == "X":
            return _hexadecimal(inside[1:], codec) or found[0]
        return found[0]

    return _escapes(mark).sub(one, text)


def _hexadecimal(digits: str, codec: str) -> str:
    try:
        found = bytes.fromhex(digits).decode(codec)
    except (ValueError, UnicodeError):
        return ""
    return "" if _NOT_TEXT.search(found) else found


def escape(text: str, marks: Marks = STANDARD) -> str:
    r"""Text as wire text: separators and control characters escaped, so that reading it gives the same text back.

    Raises:
        Unreadable: a separator stands in it and the message has no escape character.
    """
    if _to_escape(marks).search(text) is None:
        return text
    table = _escaping(marks)
    if not marks.escape:
        raise Unreadable(
            Fault(TABLE_VALUE, "no-escape", "A separator is in the text and MSH-2 names no escape", "MSH", 1, 2)
        )
    return "".join(table.get(sign, sign) for sign in text)


@lru_cache(maxsize=64)
def _to_escape(marks: Marks) -> re.Pattern[str]:
    return re.compile(f"[{''.join(map(re.escape, _escaping(marks)))}]")


@lru_cache(maxsize=64)
def _escaping(marks: Marks) -> dict[str, str]:
    mark = marks.escape
    table = {chr(code): f"{mark}X{code:02X}{mark}" for code in (*range(0x20), 0x7F)}
    table["\n"] = f"{mark}.br{mark}"
    for sign, letter in zip(marks, "FSRETP", strict=True):
        if sign:
            table[sign] = f"{mark}{letter}{mark}"
    return table


def encoded(text: str, codec: str) -> bytes:
    """Wire text as bytes.

    Raises:
        Unreadable: a character the set has no byte for; the place says which field of which segment.
    """
    try:
        return text.encode(codec)
    except UnicodeEncodeError as broken:
        before = text[: broken.start].split("\r")
        name, separator = before[-1][:3], before[-1][3:4]
        field = before[-1].count(separator) + (name == "MSH") if separator else 0
        sequence = sum(one[:3] == name for one in before)
        text = f"A character is not in the character set of the message ({codec})"
        raise Unreadable(Fault(TABLE_VALUE, "character-set", text, name, sequence, field)) from None
