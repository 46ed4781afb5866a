"""What a recall notice writes of lots and serials in its own words, as far as those words are certain.

The FDA's ``code_info`` is free text. Read here: device identifiers with what follows them in the same barcode, ``Lot Numbers: A1,
A2``, ``Lots 100 through 120``, the same of serials, and ``all lots``. Whatever else stands in it, and all of it where it makes an
exception, is left to a person: a lot that is guessed blocks what is safe, or worse, not what is not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from canonical.errors import Malformed
from canonical.recall import RecallScope, ranges
from formats import udi

MOST_SCOPES: Final = 20_000
LONGEST: Final = 200_000  # characters that are read; what is longer is left whole to a person

_EXCEPTION = re.compile(
    r"\b(except(?:ing|ion)?|exclud\w*|other than|not (?:affected|included|subject|recalled))\b", re.I
)
_LABEL = r"(?:\s*(?:numbers?|nos?\b\.?|codes?|\#s?|\(s\)))*\s*[:#=-]?\s*"
_LOTS = re.compile(rf"\b(?:lots?|batch(?:es)?)(?:\s*/\s*(?:batch(?:es)?|lots?))?{_LABEL}", re.I)
_SERIALS = re.compile(rf"(?:\bserials?|\bS/Ns?\b|\bSNs?\b){_LABEL}", re.I)
_ALL = re.compile(
    r"\ball\s+(?:(?:distributed|unexpired|affected)\s+)?(?:lots?|serials?|batch(?:es)?|units?|devices?|products?)"
    r"(?:\s*(?:numbers?|codes?))?(?:\s*(?:and|/|or|,)\s*(?:all\s+)?(?:lots?|serials?)(?:\s*(?:numbers?|codes?))?)?"
    r"(?=\s*(?:$|[.;\n]|\bUDI\b|\())",
    re.I,
)
_DEVICE = re.compile(
    r"(?:\b(?:UDI(?:[-\s]?DI)?|GTIN|DI)\s*(?:numbers?|codes?)?\s*[:#]?\s*)?(\(01\)\s*\d{14}(?:\(\d{2,4}\)[^()\s,;]+)*)",
    re.I,
)
_BARE_DEVICE = re.compile(
    r"\b(?:UDI(?:[-\s]?DI)?|GTIN|DI|Primary\s+DI)\s*(?:numbers?|codes?)?\s*[:#]?\s*(\d{14}|\d{12,13})\b(?!\()", re.I
)
_MORE_DEVICES = re.compile(r"\s*(?:,|;|and\b|&)\s*(\d{14})\b(?!\()", re.I)
_CODE = re.compile(r"[A-Z0-9](?:[A-Z0-9./-]{0,38}[A-Z0-9])?", re.I)
_THROUGH = re.compile(r"\s*(?:\b(?:through|thru|to)\b|\u2013|\u2014|(?<=\s)-(?=\s))\s*", re.I)
_NEXT = re.compile(r"\s*(?:[,;\n]+\s*(?:and\b|&)?|\band\b|&)\s*", re.I)
_DATE = re.compile(r"\d{1,4}[/.-]\d{1,2}[/.-]\d{2,4}|(?:19|20)\d\d-\d\d")
_EXPIRES = re.compile(r"\b(?:exp(?:iry|iration|ires)?\.?(?:\s*dates?)?|use by)\s*[:#]?\s*(?:\d[\d/.-]*)", re.I)
_MODEL = re.compile(r"\b(?:model|catalog(?:ue)?|ref(?:erence)?|part|product|item|list)\b", re.I)
_PIECES = re.compile(r"\s+(?:units?|boxes|box|pieces?|kits?|devices?|cases?|packs?|years?|months?|days?|lots?)\b", re.I)
_NOISE = re.compile(
    r"\b(?:UDI(?:[-\s]?DI)?|GTIN|DI|and|or|the|following|affected|recalled|numbers?|codes?|information|code)\b", re.I
)


@dataclass
class Codes:
    """What was read: scopes (of no product where the text names none), and the parts a person must look at."""

    scopes: list[RecallScope] = field(default_factory=list)
    uncertain: list[str] = field(default_factory=list)


@dataclass
class _Group:
    """One product of the text: its device identifiers with the lots and serials that stand with them."""

    devices: list[str] = field(default_factory=list)
    lots: list[tuple[str, str]] = field(default_factory=list)
    serials: list[tuple[str, str]] = field(default_factory=list)
    everything: bool = False

    @property
    def has_extent(self) -> bool:
        return bool(self.lots or self.serials or self.everything)


def read(text: str) -> Codes:
    """The scopes a text is certain of; the rest as it is written."""
    text = text.strip()
    if not text:
        return Codes()
    if len(text) > LONGEST or _EXCEPTION.search(text):
        return Codes(uncertain=[text])
    reader = _Reader(text)
    reader.read()
    codes = Codes(uncertain=reader.left())
    _put_together(reader, codes, text)
    return codes


def _put_together(reader: _Reader, codes: Codes, text: str) -> None:
    groups = [one for one in reader.groups if one.devices or one.has_extent]
    lots_first = bool(groups) and reader.extent_before_device
    if lots_first and sum(len(one.devices) for one in groups) > 1:
        codes.uncertain = [text]  # which lots belong to which of several devices is anybody's guess
        return
    if lots_first:
        whole = _Group()
        for one in groups:
            whole.devices += one.devices
            whole.lots += one.lots
            whole.serials += one.serials
            whole.everything |= one.everything
        groups = [whole]
    for group in groups:
        codes.scopes += _scopes(group)
        if group.everything and (group.lots or group.serials or codes.uncertain):
            codes.scopes = [one for one in codes.scopes if not one.everything]
            codes.uncertain = [text]  # everything, yet some lots or words beside it
    codes.scopes += reader.exact
    if len(codes.scopes) > MOST_SCOPES:
        codes.scopes, codes.uncertain = [], [text]


def _scopes(group: _Group) -> list[RecallScope]:
    named: list[dict[str, str]] = [{"device": one} for one in dict.fromkeys(group.devices)] or [{}]
    spans: list[dict[str, object]] = [{"lot_from": a, "lot_to": b} for a, b in dict.fromkeys(group.lots)]
    spans += [{"serial_from": a, "serial_to": b} for a, b in dict.fromkeys(group.serials)]
    if group.everything and not spans:
        spans = [{"everything": True}]
    if not spans:
        spans = [{}]  # a device, and nobody knows which of it
    return [RecallScope.model_validate(name | span) for name in named for span in spans]


class _Reader:
    """Goes through the text once, from the front; what it has understood is blanked out."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._rest = list(text)
        self.groups = [_Group()]
        self.exact: list[RecallScope] = []  # of barcodes that say lot or serial themselves
        self.extent_before_device = False
        self._doubtful: list[str] = []

    def left(self) -> list[str]:
        """What was not understood, in pieces: nothing where only words without meaning are left."""
        left = re.split(r"[;\n\x00]+", _EXPIRES.sub(" ", "".join(self._rest)))
        said = [" ".join(_tidy(piece).split()) for piece in left]
        return [piece for piece in said if re.search(r"[A-Za-z0-9]", _NOISE.sub("", piece))] + self._doubtful

    def read(self) -> None:
        place = 0
        while place < len(self._text):
            place = self._step(place)

    def _step(self, place: int) -> int:
        found = [(m.start(), order, m) for order, one in enumerate(_KINDS) if (m := one.search(self._text, place))]
        if not found:
            return len(self._text)
        _, order, match = min(found, key=lambda one: one[:2])
        return (self._all, self._device, self._bare, self._lots, self._serials)[order](match)

    def _blank(self, begin: int, end: int) -> None:
        self._rest[begin:end] = ["\x00"] + [""] * (end - begin - 1)

    def _all(self, match: re.Match[str]) -> int:
        self._of_extent().everything = True
        self._blank(match.start(), match.end())
        return match.end()

    def _device(self, match: re.Match[str]) -> int:
        try:
            read = udi.read(re.sub(r"\)\s+", ")", match[1]))
        except Malformed:
            self._doubtful.append(match[0])
            self._blank(match.start(), match.end())
            return match.end()
        if read.lot or read.serial:
            of = {"device": read.device, "lot_from": read.lot, "serial_from": read.serial}
            self.exact.append(RecallScope.model_validate(of))
        else:
            self._add_device(read.device)
        self._blank(match.start(), match.end())
        return match.end()

    def _bare(self, match: re.Match[str]) -> int:
        end, codes = match.end(), [match[1]]
        while more := _MORE_DEVICES.match(self._text, end):
            codes.append(more[1])
            end = more.end()
        for code in codes:
            try:
                self._add_device(udi.read(code).device)
            except Malformed:
                self._doubtful.append(code)
        self._blank(match.start(), end)
        return end

    def _add_device(self, device: str) -> None:
        if self.groups[-1].has_extent:
            if not any(one.devices for one in self.groups):
                self.extent_before_device = True
            self.groups.append(_Group())
        self.groups[-1].devices.append(device)

    def _of_extent(self) -> _Group:
        return self.groups[-1]

    def _lots(self, match: re.Match[str]) -> int:
        return self._list(match, self._of_extent().lots)

    def _serials(self, match: re.Match[str]) -> int:
        return self._list(match, self._of_extent().serials)

    def _list(self, match: re.Match[str], into: list[tuple[str, str]]) -> int:
        place = end = match.end()
        read_any = False
        while code := self._code(place):
            end = code.end()
            if (through := _THROUGH.match(self._text, end)) and (last := self._code(through.end())):
                end = last.end()
                try:
                    into += ranges(code[0], last[0])
                except ValueError:
                    self._doubtful.append(self._text[code.start() : end])
            elif _may_be_a_range(code[0]):
                self._doubtful.append(code[0])
            else:
                into.append((code[0].upper(), code[0].upper()))
            read_any = True
            following = _NEXT.match(self._text, end)
            if following is None:
                break
            place = following.end()
        if not read_any:
            return match.end()  # "lot" as a word: it stays to be read by a person
        self._blank(match.start(), end)
        return end

    def _code(self, place: int) -> re.Match[str] | None:
        """A lot or serial at this place: it has a digit and is no date, no quantity of another word."""
        found = _CODE.match(self._text, place)
        if found is None or not any(sign.isdigit() for sign in found[0]) or _DATE.fullmatch(found[0]):
            return None
        if len(found[0]) < 2 or len(found[0]) > 40 or _PIECES.match(self._text, found.end()):
            return None
        return found


_KINDS = (_ALL, _DEVICE, _BARE_DEVICE, _LOTS, _SERIALS)


def _may_be_a_range(code: str) -> bool:
    """``A100-A120`` may be one lot, or twenty-one."""
    first, dash, last = code.partition("-")
    if not dash or "-" in last or len(first) < 2:
        return False
    try:
        ranges(first, last)
    except ValueError:
        return False
    return True


def _tidy(piece: str) -> str:
    """Without the signs that only part one thing from the other, and without model numbers, which name no lot."""
    bare = piece.strip(" \t\r.,:;#/-()")
    return "" if _MODEL.match(bare) and not re.search(r"\b(lot|serial|batch)", bare, re.I) else bare
