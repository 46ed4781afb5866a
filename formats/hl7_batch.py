"""Splits files and batches of HL7 messages, so that no message in them is lost: counts are checked, a cut file is found.

HL7 v2 chapter 2.10.3: [FHS] { [BHS] { message } [BTS] } [FTS]. The messages are slices of the bytes received.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from formats.hl7_faults import DATA_TYPE, SEGMENT_SEQUENCE, Fault, Unreadable, place
from formats.hl7_text import CONTROL, wide
from formats.hl7_values import as_moment

_ENVELOPE = re.compile(r"(?:^|(?<=[\r\n]))(FHS|BHS|MSH|BTS|FTS)(?![A-Za-z0-9 \t])")
_TRAILING = "\r\n\t \x00\x1a"  # what programs and old transfers put after the end


@dataclass(slots=True)
class Batch:
    """One batch: BHS and BTS as wire text, empty where they were not sent, and its messages byte for byte."""

    header: str = ""
    trailer: str = ""
    messages: list[bytes] = field(default_factory=list)

    @property
    def control(self) -> str:
        """BHS-11."""
        return _field(self.header, 11)


@dataclass(slots=True)
class File:
    """Everything a file held. With ``faults`` it is cut or its counts are wrong: the sender's row says what may be taken."""

    header: str = ""
    trailer: str = ""
    batches: list[Batch] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    @property
    def control(self) -> str:
        """FHS-11."""
        return _field(self.header, 11)

    @property
    def messages(self) -> list[bytes]:
        """The messages of all batches in their order."""
        return [message for batch in self.batches for message in batch.messages]


def is_batch(data: bytes) -> bool:
    """The bytes begin with FHS or BHS."""
    return _text(data[:64], strict=False)[0][:3] in ("FHS", "BHS")


def split(data: bytes) -> File:
    """A file of messages, with or without batch and file envelopes. Every byte is in a message, an envelope or a line end.

    Raises:
        Unreadable: it does not begin with FHS, BHS or MSH, or holds neither message nor trailer.
    """
    text, codec = _text(data, strict=True)
    cuts = [match.start() for match in _ENVELOPE.finditer(text)]
    start = len(text) - len(text.lstrip("\r\n"))
    if not cuts or cuts[0] != start or text[start : start + 3] not in ("FHS", "BHS", "MSH"):
        raise Unreadable(
            Fault(SEGMENT_SEQUENCE, "no-header", "The file begins with none of FHS, BHS and MSH", "MSH", 1)
        )
    builder = _Builder()
    ends = [*cuts[1:], len(text)]
    for at, end in zip(cuts, ends, strict=True):
        piece = text[at:end].rstrip(_TRAILING if end == len(text) else "\r\n")
        builder.add(text[at : at + 3], piece, codec)
    return builder.finished()


def respond(file: File, batches: Sequence[Sequence[bytes]], *, control: str, when: datetime) -> bytes:
    """The answer to a file: for each of its batches the answers to its messages, in envelopes that name the ones they answer.

    HL7 v2 chapter 2.10.3.3 and 2.15.2 (BHS-12: the batch that is answered). A batch that came without an envelope is answered in one.
    """
    parts = []
    for at, (batch, answers) in enumerate(zip(file.batches, batches, strict=True), start=1):
        parts.append(_envelope("BHS", batch.header, f"{control}-{at}" if len(batches) > 1 else control, when))
        parts += [answer if answer.endswith(b"\r") else answer + b"\r" for answer in answers]
        parts.append(f"BTS{_mark(batch.header)}{len(answers)}\r".encode())
    if file.header:
        trailer = f"FTS{_mark(file.header)}{len(file.batches)}\r".encode()
        parts = [_envelope("FHS", file.header, control, when), *parts, trailer]
    return b"".join(parts)


def _envelope(name: str, header: str, control: str, when: datetime) -> bytes:
    """BHS or FHS back to where ``header`` came from."""
    mark = _mark(header)
    asked = [CONTROL.sub("", _field(header, number)) for number in range(13)] if header else [""] * 13
    fields = [
        f"{name}{mark}{asked[2] or '^~' + chr(92) + '&'}",
        asked[5],
        asked[6],
        asked[3],
        asked[4],
        as_moment(when),
    ]
    return (mark.join([*fields, "", "", "", control, asked[11]]) + "\r").encode("latin-1", "replace")


def _mark(header: str) -> str:
    return header[3:4] or "|"


def _text(data: bytes, *, strict: bool) -> tuple[str, str]:
    """One character per byte, so that a slice gives its bytes back; wide sets by their own codec."""
    codec, mark = wide(data)
    if not codec or codec == "utf-8":
        return data[mark:].decode("latin-1"), "latin-1"
    try:
        return data[mark:].decode(codec, "strict" if strict else "replace"), codec
    except UnicodeDecodeError as broken:
        text = f"Byte {broken.start + mark} does not fit the character set ({codec})"
        raise Unreadable(Fault(DATA_TYPE, "character-set", text, "MSH", 1, 18)) from None


class _Builder:
    """Puts what was cut where it belongs, and notes what does not add up."""

    def __init__(self) -> None:
        self._file = File()
        self._open: Batch | None = None
        self._seen: dict[str, int] = {}

    def add(self, name: str, piece: str, codec: str) -> None:
        sequence = self._seen[name] = self._seen.get(name, 0) + 1
        if self._file.trailer:
            self._fault(name, sequence, "stands after FTS, the end of the file")
        if name != "MSH" and len(re.split(r"[\r\n]+", piece)) > 1:
            self._fault(name, sequence, "is followed by lines that belong to no message")
        if name == "FHS":
            if sequence > 1 or self._file.batches:
                self._fault(name, sequence, "is not the first of the file")
            self._file.header = self._file.header or piece
        elif name == "BHS":
            self._unended()
            self._begin(piece)
        elif name == "MSH":
            batch = self._open or self._begin("")
            batch.messages.append(piece.encode(codec))
        elif name == "BTS":
            self._end_batch(piece, sequence)
        else:
            self._unended()
            self._file.trailer = self._file.trailer or piece
            self._count(name, sequence, piece, len(self._file.batches), "batches")

    def finished(self) -> File:
        self._unended()
        if self._file.header and not self._file.trailer:
            self._fault("FTS", 1, "is missing: the file is cut", kind="cut")
        if self._file.trailer and not self._file.header:
            self._fault("FHS", 1, "is missing", kind="cut")
        return self._file

    def _begin(self, header: str) -> Batch:
        self._open = Batch(header)
        self._file.batches.append(self._open)
        return self._open

    def _end_batch(self, piece: str, sequence: int) -> None:
        batch = self._open or self._begin("")
        if not batch.header:
            self._fault("BHS", sequence, "is missing", kind="cut")
        batch.trailer = piece
        self._count("BTS", sequence, piece, len(batch.messages), "messages")
        self._open = None

    def _unended(self) -> None:
        if self._open is not None and self._open.header:
            self._fault("BTS", self._seen.get("BTS", 0) + 1, "is missing: the batch is cut", kind="cut")
        self._open = None

    def _count(self, name: str, sequence: int, piece: str, counted: int, what: str) -> None:
        said = _field(piece, 1).strip()
        if said and not (said.isascii() and said.isdigit() and len(said) < 10 and int(said) == counted):
            said = said if said.isascii() and said.isdigit() and len(said) < 10 else "something else"
            text = f"{place(name, sequence, 1)} says {said}, there are {counted} {what}"
            self._file.faults.append(Fault(DATA_TYPE, "count", text, name, sequence, 1))

    def _fault(self, name: str, sequence: int, text: str, kind: str = "envelope") -> None:
        self._file.faults.append(Fault(SEGMENT_SEQUENCE, kind, f"{place(name, sequence)} {text}", name, sequence))


def _field(segment: str, number: int) -> str:
    """A field of an envelope segment as wire text."""
    fields = segment[3:].split(segment[3:4]) if len(segment) > 3 else []
    at = number - 1 if segment[:3] in ("FHS", "BHS") else number
    return fields[at] if 0 < at < len(fields) else ""
