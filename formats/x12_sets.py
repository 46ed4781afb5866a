"""Which segments make up each document we exchange, in which order and how often, X12 004010.

A word is a segment: ``!`` mandatory, ``*n`` at most n times (``*`` alone: any number). Parentheses are a loop, opened by its
first segment, whose marks are the loop's own. Wider than one partner needs, so that what the standard allows is read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache

UNLIMITED = 1_000_000


@dataclass(frozen=True, slots=True)
class Place:
    """A segment's or a loop's place in a document."""

    name: str
    mandatory: bool
    most: int
    loop: str = ""
    children: tuple[Place, ...] = field(default=())

    @property
    def is_loop(self) -> bool:
        """Whether segments follow it in a loop of its own."""
        return bool(self.children)


_N1 = "(N1*200 N2*2 N3*2 N4* REF*12 PER*3 FOB TD1*2 TD5*12 TD3*12 TD4*5 PKG*200 MSG*)"
_SAC = "(SAC*25 CUR TXI*)"
_HEADING = "CUR REF* PER*3 TAX* FOB* CTP* CSH*5 SAC*25 ITD* DIS*20 DTM*10 LIN*5 PID*200 MEA*40 PWK*25 PKG*200"
_TRANSPORT = "TD1*2 TD5*12 TD3*12 TD4*5"
_ITEM_TEXT = "(PID*1000 MEA*10) MEA*40 PWK*25 PO4*"
_SCHEDULE = "(SCH*200 TD1*2 TD5*12 TD3*12 TD4*5 REF*)"

_TEXT = {
    "850": f"""ST! BEG! {_HEADING} {_TRANSPORT} TXI* (SAC*25 CUR) (N9*1000 DTM* MSG*1000 PWK*) {_N1}
        (PO1!*100000 LIN* SLN* CUR CTP* PO4* MEA*40 {_ITEM_TEXT} PKG*200 REF* PER*3 {_SAC} FOB ITD*2 DIS*20 TAX* QTY* SCH*200
         DTM*10 {_TRANSPORT} TXI* MAN*10 AMT* (N9*1000 MEA*40 MSG*1000) {_N1})
        (CTT AMT) SE!""",
    "855": f"""ST! BAK! {_HEADING} {_TRANSPORT} TXI* (SAC*25 CUR) (N9*1000 MSG*1000) {_N1}
        (PO1*100000 LIN* SLN* CUR CTP* PO4* MEA*40 {_ITEM_TEXT} PKG*200 REF* PER*3 {_SAC} FOB ITD*2 DIS*20 TAX* QTY* SCH*200
         DTM*10 {_TRANSPORT} TXI* MAN*10 AMT* (ACK*104 DTM) DTM*10 {_TRANSPORT} TXI* {_SCHEDULE} (N9*1000 MSG*1000) {_N1})
        (CTT AMT) SE!""",
    "860": f"""ST! BCH! {_HEADING} {_TRANSPORT} TXI* (SAC*25 CUR) (N9*1000 MSG*1000) {_N1}
        (POC*1000000 LIN* SLN* CUR CTP* PO4* MEA*40 {_ITEM_TEXT} PKG*200 REF* PER*3 {_SAC} FOB ITD*2 DIS*20 TAX* QTY* SCH*200
         DTM*10 {_TRANSPORT} TXI* MAN*10 AMT* (N9*1000 MSG*1000) {_N1})
        (CTT AMT) SE!""",
    "865": f"""ST! BCA! {_HEADING} {_TRANSPORT} TXI* (SAC*25 CUR) (N9*1000 MSG*1000) {_N1}
        (POC*1000000 LIN* SLN* CUR CTP* PO4* MEA*40 {_ITEM_TEXT} PKG*200 REF* PER*3 {_SAC} FOB ITD*2 DIS*20 TAX* QTY* SCH*200
         DTM*10 {_TRANSPORT} TXI* MAN*10 AMT* (ACK*104 DTM) DTM*10 {_TRANSPORT} TXI* (N9*1000 MSG*1000) {_N1})
        (CTT AMT) SE!""",
    "856": """ST! BSN! DTM*10
        (HL!*200000 LIN SN1 SLN*1000 PRF PO4 PID*200 MEA*40 PWK*25 PKG*25 TD1*20 TD5*12 TD3*12 TD4*5 REF* PER*3 MAN* DTM*10
         FOB AMT* QTY* (N1*200 N2*2 N3*2 N4 REF*12 PER*3 FOB) CUR SAC*25)
        CTT SE!""",
    "810": f"""ST! BIG! NTE*100 CUR REF*12 PER*3 (N1*200 N2*2 N3*2 N4 REF*12 PER*3) ITD* DTM*10 FOB PID*200 MEA*40 PWK*25
        PKG*25 (N9 MSG*10) (IT1*200000 CUR QTY*5 TXI*10 CTP*25 MEA*40 (PID*1000 MEA*10) PWK*25 PKG*25 PO4 ITD*2 REF* PER*5
         DTM*10 CAD* {_SAC} SLN*1000 (N1*200 N2*2 N3*2 N4 REF*12 PER*3))
        TDS! TXI*10 CAD AMT* {_SAC} ISS* CTT SE!""",
    "820": """ST! BPR! NTE* TRN CUR REF* DTM* (N1* N2 N3 N4 REF* PER*)
        (ENT* (N1* N2 N3 N4 REF* PER*) (ADX* REF* DTM*) (RMR* REF* DTM* (IT1* REF* SAC*) (ADX* REF* DTM*)))
        (RMR* REF* DTM* (ADX* REF* DTM*)) SE!""",
    "832": f"""ST! BCT! CTP*100 REF* PER* DTM*10 CTB*25 CUR*5 ITD* TD5*12 MSG* {_N1}
        (LIN*500000 G53 DTM*10 REF* PER*3 CTB*25 PID*200 MEA*40 PKG*25 PO4* TD4*5 LDT* SAC*25 FOB ITD* MSG*
         (CTP* CUR*5 DTM*10 SAC*25 CTB*25))
        CTT SE!""",
    "997": "ST! AK1! (AK2*999999 (AK3*999999 AK4*99) AK5!) AK9! SE!",
}

FUNCTIONAL_IDS = {
    "850": "PO",
    "855": "PR",
    "856": "SH",
    "810": "IN",
    "860": "PC",
    "865": "CA",
    "820": "RA",
    "832": "SC",
    "997": "FA",
}


@cache
def structure(code: str) -> tuple[Place, ...] | None:
    """The places of a document of that kind, None where we do not know the kind."""
    text = _TEXT.get(code)
    if text is None:
        return None
    places, rest = _places(re.findall(r"[()]|[^\s()]+", text), "")
    assert not rest
    return places


@cache
def segment_names(code: str) -> frozenset[str]:
    """Every segment that may stand somewhere in a document of that kind."""
    return frozenset(re.findall(r"[A-Z][A-Z0-9]{1,2}", _TEXT.get(code, "")))


def _places(words: list[str], loop: str) -> tuple[tuple[Place, ...], list[str]]:
    places: list[Place] = []
    while words and words[0] != ")":
        word, words = words[0], words[1:]
        if word == "(":
            inner, words = _places(words, words[0])
            words = words[1:]
            first = inner[0]
            places.append(Place(first.name, first.mandatory, first.most, first.name, inner[1:]))
        else:
            places.append(_place(word))
    return tuple(places), words


def _place(word: str) -> Place:
    name, star, most = word.partition("*")
    limit = int(most) if most else UNLIMITED if star else 1
    return Place(name.rstrip("!"), "!" in name, limit)
