"""What each segment of the documents we exchange is made of, X12 004010: which elements, of which kind, how long.

A word is an element, ``kind:data element:shortest-longest``, ``!`` before it where it is mandatory. Kinds are those of X12.6:
AN text, ID code, N0 and N2 numbers with implied decimals, R with a point, DT, TM, and C for a composite. ``10pairs`` are ten
qualifier and value elements. After ``|`` stand the syntax notes: P paired, R at least one, C the first requires the
rest, L one of the rest, E only one. Only segments and codes in use are here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class Element:
    """One place in a segment."""

    kind: str
    reference: str
    shortest: int
    longest: int
    mandatory: bool = False


@dataclass(frozen=True, slots=True)
class Definition:
    """A segment: its elements and its syntax notes as (kind, element numbers)."""

    name: str
    elements: tuple[Element, ...]
    notes: tuple[tuple[str, tuple[int, ...]], ...]


_PAIR = "ID:235:2-2 AN:234:1-48"
_TABLE = """
ST  !ID:143:3-3 !AN:329:4-9
SE  !N0:96:1-10 !AN:329:4-9
AK1 !ID:479:2-2 !N0:28:1-9
AK2 !ID:143:3-3 !AN:329:4-9
AK3 !ID:721:2-3 !N0:719:1-6 AN:447:1-4 ID:720:1-3
AK4 !C:C030:1-8 N0:725:1-4 !ID:723:1-3 AN:724:1-99
AK5 !ID:717:1-1 ID:718:1-3 ID:718:1-3 ID:718:1-3 ID:718:1-3 ID:718:1-3
AK9 !ID:715:1-1 !N0:97:1-6 !N0:123:1-6 !N0:2:1-6 ID:716:1-3 ID:716:1-3 ID:716:1-3 ID:716:1-3 ID:716:1-3
BEG !ID:353:2-2 !ID:92:2-2 !AN:324:1-22 AN:328:1-30 !DT:373:8-8 AN:367:1-30 ID:587:2-2 ID:1019:3-3 ID:1166:2-2 ID:1232:2-2
    ID:786:2-2 ID:640:2-2
BAK !ID:353:2-2 !ID:587:2-2 !AN:324:1-22 !DT:373:8-8 AN:328:1-30 AN:326:1-45 AN:367:1-30 AN:127:1-30 DT:373:8-8 ID:640:2-2
BCH !ID:353:2-2 !ID:92:2-2 !AN:324:1-22 AN:328:1-30 AN:327:1-8 !DT:373:8-8 AN:326:1-45 AN:367:1-30 AN:127:1-30 DT:373:8-8
    DT:373:8-8 ID:786:2-2
BCA !ID:353:2-2 ID:587:2-2 !AN:324:1-22 AN:328:1-30 AN:327:1-8 !DT:373:8-8 AN:326:1-45 AN:367:1-30 AN:127:1-30 DT:373:8-8
    DT:373:8-8 DT:373:8-8 ID:786:2-2
BCT !ID:683:2-2 AN:684:1-15 AN:685:1-15 AN:686:1-6 ID:355:2-2 AN:684:1-15 AN:685:1-15 AN:686:1-6 AN:352:1-80 ID:353:2-2
BSN !ID:353:2-2 !AN:396:2-30 !DT:373:8-8 !TM:337:4-8 ID:1005:4-4 ID:640:2-2 ID:641:2-3
BIG !DT:373:8-8 !AN:76:1-22 DT:373:8-8 AN:324:1-22 AN:328:1-30 AN:327:1-8 ID:640:2-2 ID:353:2-2 ID:306:1-2 AN:76:1-22
BPR !ID:305:1-2 !R:782:1-18 !ID:478:1-1 !ID:591:3-3 ID:812:1-10 ID:506:2-2 AN:507:3-12 ID:569:1-3 AN:508:1-35 AN:509:10-10
    AN:510:9-9 ID:506:2-2 AN:507:3-12 ID:569:1-3 AN:508:1-35 DT:373:8-8 ID:1048:1-3 ID:506:2-2 AN:507:3-12 ID:569:1-3
    AN:508:1-35 | P0607 C0809 P1213 C1415
TRN !ID:481:1-2 !AN:127:1-30 AN:509:10-10 AN:127:1-30
CUR !ID:98:2-3 !ID:100:3-3 R:280:4-10 ID:98:2-3 ID:100:3-3 ID:669:3-3
REF !ID:128:2-3 AN:127:1-30 AN:352:1-80 C:C040:1-99 | R0203
PER !ID:366:2-2 AN:93:1-60 ID:365:2-2 AN:364:1-80 ID:365:2-2 AN:364:1-80 ID:365:2-2 AN:364:1-80 AN:443:1-20 | P0304 P0506
    P0708
TAX AN:325:1-20 ID:309:1-2 AN:310:1-30 ID:309:1-2 AN:310:1-30 ID:309:1-2 AN:310:1-30 ID:309:1-2 AN:310:1-30 ID:309:1-2
    AN:310:1-30 ID:441:1-1
FOB !ID:146:2-2 ID:309:1-2 AN:352:1-80 ID:334:2-2 ID:335:3-3 ID:309:1-2 AN:352:1-80 ID:54:2-2 AN:352:1-80
CTP ID:687:2-2 ID:236:3-3 R:212:1-17 R:380:1-15 C:C001:1-99 ID:648:3-3 R:649:1-10 R:782:1-18 ID:639:2-2 ID:499:1-10
    N0:289:1-2
CSH ID:563:1-2 ID:306:1-2 AN:610:1-15 AN:508:1-35 DT:373:8-8 ID:559:2-2 ID:566:1-2 R:954:1-10 AN:595:1-9
SAC !ID:248:1-1 ID:1300:4-4 ID:559:2-2 AN:1301:1-10 N2:610:1-15 ID:378:1-1 R:332:1-6 R:118:1-9 ID:355:2-2 R:380:1-15
    R:380:1-15 ID:331:2-2 AN:127:1-30 AN:770:1-20 AN:352:1-80 ID:819:2-3 | R0203 P0304 P0607 P0910
ITD ID:336:2-2 ID:333:1-2 R:338:1-6 DT:370:8-8 N0:351:1-3 DT:446:8-8 N0:386:1-3 N2:362:1-10 DT:388:8-8 N2:389:1-10 R:342:1-5
    AN:352:1-80 N0:765:1-2 ID:107:1-2 R:954:1-10
DIS !ID:653:3-3 !ID:654:2-2 !R:655:1-10 !ID:656:2-3 !R:657:1-10 R:657:1-10
DTM !ID:374:3-3 DT:373:8-8 TM:337:4-8 ID:623:2-2 ID:1250:2-3 AN:1251:1-35 | R020305 P0506
N9  !ID:128:2-3 AN:127:1-30 AN:369:1-45 DT:373:8-8 TM:337:4-8 ID:623:2-2 C:C040:1-99 | R0203
MSG !AN:933:1-264 ID:934:2-2 N0:1470:1-9
NTE ID:363:3-3 !AN:352:1-80
N1  !ID:98:2-3 AN:93:1-60 ID:66:1-2 AN:67:2-80 ID:706:2-2 ID:98:2-3 | R0203 P0304
N2  !AN:93:1-60 AN:93:1-60
N3  !AN:166:1-55 AN:166:1-55
N4  AN:19:2-30 ID:156:2-2 AN:116:3-15 ID:26:2-3 ID:309:1-2 AN:310:1-30 | C0605
PO1 AN:350:1-20 R:330:1-15 ID:355:2-2 R:212:1-17 ID:639:2-2 10pairs | C0302 C0504
IT1 AN:350:1-20 R:358:1-10 ID:355:2-2 R:212:1-17 ID:639:2-2 10pairs | P020304
POC AN:350:1-20 !ID:670:2-2 R:330:1-15 R:671:1-9 C:C001:1-99 R:212:1-17 ID:639:2-2 10pairs | C0706
LIN AN:350:1-20 !ID:235:2-2 !AN:234:1-48 14pairs
ACK !ID:668:2-2 R:380:1-15 ID:355:2-2 ID:374:3-3 DT:373:8-8 AN:326:1-45 10pairs AN:559:1-8 AN:822:1-15 AN:1271:1-30 | P0203
    C0405
SLN !AN:350:1-20 AN:350:1-20 !ID:662:1-1 R:380:1-15 C:C001:1-99 R:212:1-17 ID:639:2-2 ID:662:1-1 10pairs
PID !ID:349:1-1 ID:750:2-3 ID:559:2-2 AN:751:1-12 AN:352:1-80 ID:752:2-2 AN:822:1-15 ID:1073:1-1 ID:819:2-3 | C0403 R0405
MEA ID:737:2-2 ID:738:1-3 R:739:1-20 C:C001:1-99 R:740:1-20 R:741:1-20 ID:935:2-2 ID:936:2-4 ID:752:2-2 ID:1373:2-2
PWK !ID:755:2-2 ID:756:1-2 N0:757:1-2 ID:98:2-3 ID:66:1-2 AN:67:2-80 AN:352:1-80 C:C002:1-99 ID:1525:1-2 | P0506
PKG ID:349:1-1 ID:753:1-5 ID:559:2-2 AN:754:1-7 AN:352:1-80 ID:400:2-2
PO4 N0:356:1-6 R:357:1-8 ID:355:2-2 AN:103:3-5 ID:187:1-2 R:384:1-9 ID:355:2-2 R:385:1-9 ID:355:2-2 R:82:1-8 R:189:1-8
    R:65:1-8 ID:355:2-2 N0:810:1-4 AN:752:2-2 AN:350:1-20 AN:350:1-20 N0:1470:1-9
SN1 AN:350:1-20 !R:382:1-10 !ID:355:2-2 R:646:1-15 R:330:1-15 ID:355:2-2 ID:728:1-2 ID:668:2-2 | P0506
G53 !ID:875:3-3
CTB !ID:688:2-2 AN:352:1-80 ID:673:2-2 R:380:1-15 ID:522:1-3 N2:610:1-15
LDT !ID:345:2-2 !R:380:1-15 !ID:344:2-2 DT:373:8-8
PRF !AN:324:1-22 AN:328:1-30 AN:327:1-8 DT:373:8-8 AN:350:1-20 AN:367:1-30 ID:92:2-2
HL  !AN:628:1-12 AN:734:1-12 !ID:735:1-2 ID:736:1-1
MAN !ID:88:1-2 !AN:87:1-48 AN:87:1-48 ID:88:1-2 AN:87:1-48 AN:87:1-48 | P0405
TD1 AN:103:3-5 N0:80:1-7 ID:23:1-1 AN:22:1-30 AN:79:1-50 ID:187:1-2 R:81:1-10 ID:355:2-2 R:183:1-8 ID:355:2-2 | C0102 P0708
    P0910
TD3 ID:40:2-2 AN:206:1-4 AN:207:1-10 ID:187:1-2 R:81:1-10 ID:355:2-2 ID:102:1-1 AN:407:4-4 AN:225:2-15 ID:24:4-4
TD4 ID:152:2-3 ID:208:1-1 AN:209:1-4 AN:352:1-80
TD5 ID:133:1-2 ID:66:1-2 AN:67:2-80 ID:91:1-2 AN:387:1-35 ID:368:2-2 ID:309:1-2 AN:310:1-30 ID:731:2-2 ID:732:2-2 N0:733:1-4
    ID:284:2-2 ID:284:2-2 ID:284:2-2 ID:26:2-3
QTY !ID:673:2-2 R:380:1-15 C:C001:1-99 AN:61:1-30 | R0204
SCH !R:380:1-15 !ID:355:2-2 ID:98:2-3 AN:93:1-60 !ID:374:3-3 !DT:373:8-8 TM:337:4-8 ID:374:3-3 DT:373:8-8 TM:337:4-8
    AN:326:1-45 AN:350:1-20
TXI !ID:963:2-2 R:782:1-18 R:954:1-10 ID:955:2-2 AN:956:1-10 ID:441:1-1 AN:662:1-1 R:828:1-9 AN:325:1-20 AN:350:1-20 |
    R020306
TDS !N2:610:1-15 N2:610:1-15 N2:610:1-15 N2:610:1-15
AMT !ID:522:1-3 !R:782:1-18 ID:478:1-1
CAD ID:91:1-2 AN:206:1-4 AN:207:1-10 ID:140:2-4 AN:387:1-35 ID:368:2-2 ID:128:2-3 AN:127:1-30 ID:284:2-2 | R0504
ISS R:382:1-10 ID:355:2-2 R:81:1-10 ID:355:2-2 R:183:1-8 ID:355:2-2 R:380:1-15 R:649:1-10 | P0102 P0304 P0506
CTT !N0:354:1-6 R:347:1-10 R:81:1-10 ID:355:2-2 R:183:1-8 ID:355:2-2 AN:352:1-80 | P0304 P0506
ENT N0:554:1-6 ID:98:2-3 ID:66:1-2 AN:67:2-80 ID:98:2-3 ID:66:1-2 AN:67:2-80 ID:128:2-3 AN:127:1-30
RMR ID:128:2-3 AN:127:1-30 ID:482:2-2 R:782:1-18 R:782:1-18 R:782:1-18 ID:426:2-2 R:782:1-18 | P0102
ADX !R:782:1-18 !ID:426:2-2 ID:128:2-3 AN:127:1-30 | P0304
"""

# Codes without which a document has no structure. Codes a case decides on (ACK01, BAK02, units, item qualifiers) are not
# here: an unknown one of those is carried to a person, not refused.
CODES: dict[str, frozenset[str]] = {
    "353": frozenset({"00", "01", "02", "03", "04", "05", "06", "07", "14", "22", "24", "28"}),
    "735": frozenset({"S", "O", "T", "P", "I"}),
    "736": frozenset({"0", "1"}),
    "248": frozenset({"A", "C", "N", "P", "Q", "R", "S"}),
    "717": frozenset({"A", "E", "M", "P", "R", "W", "X"}),
    "715": frozenset({"A", "E", "M", "P", "R", "W", "X"}),
    "478": frozenset({"C", "D"}),
}

_NOTE = re.compile(r"^([PRCLE])((?:\d\d)+)$")


@cache
def definitions() -> dict[str, Definition]:
    """Every segment we know, by name."""
    found = {}
    for line in _TABLE.replace("\n    ", " ").strip().splitlines():
        name, *words = line.split()
        elements: list[Element] = []
        notes: list[tuple[str, tuple[int, ...]]] = []
        for word in words:
            note = _NOTE.match(word)
            if note:
                numbers = tuple(int(note[2][at : at + 2]) for at in range(0, len(note[2]), 2))
                notes.append((note[1], numbers))
            elif word.endswith("pairs"):
                for _ in range(int(word.removesuffix("pairs"))):
                    notes.append(("P", (len(elements) + 1, len(elements) + 2)))
                    elements += [_element(part) for part in _PAIR.split()]
            elif word != "|":
                elements.append(_element(word))
        found[name] = Definition(name, tuple(elements), tuple(notes))
    return found


def _element(word: str) -> Element:
    kind, reference, lengths = word.removeprefix("!").split(":")
    shortest, _, longest = lengths.partition("-")
    return Element(kind, reference, int(shortest), int(longest), word.startswith("!"))
