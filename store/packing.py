"""Payloads made small before they are stored, and given back exactly as they came (docs/adr/0014-journal-at-scale.md).

PostgreSQL compresses a row only above 2 kB, and a message of HL7 has a third of that: we do it ourselves, by deflate with a
dictionary of what such messages say again and again. What is larger is left to PostgreSQL.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Final

AS_IT_CAME, HL7_2026 = 0, 1
SMALLEST, LARGEST = 128, 32_768  # bytes; outside, deflate gains nothing or holds up everyone else in the process
_WINDOW, _MEMORY, _LEVEL = -13, 6, 3

# Text nearest the end costs least to refer to. Never change it: a dictionary with other words is another packing.
_HL7: Final = (
    b"ZDS|1.2.840.10008|REF|ED|TX|FT|SN|DT|TM|TS|ISO^DICOM|ICD10|I10|I9C|SNM|L|^^^^^\rNTE|1|L|\rNTE|1||\rIN1|1|\rGT1|1|"
    b"\rDG1|1|I10|\rPR1|1|\rAL1|1|DA|\rAL1|1|FA|\rNK1|1||SPO|\rROL|1|AD|\rMRG|\rPD1|\rPV2||\rACC|\rUB1|\rUB2|\rFT1|1|||"
    b"||CG|\rSTF|\rPRA|\rMFI|\rMFE|MAD|\rMFE|MUP|\rMFE|MDC|\rITM|\rIVT|\rPKG|\rLOC|\rLCH|\rSCH|\rTQ1|1||||||\rRGS|1|A\r"
    b"AIS|1|A|\rAIG|1|A|\rAIL|1|A|\rAIP|1|A|\rRXO|\rRXE|\rRXR|PO|IV^Intravenous\rRXC|B|\rRXD|1|\rSPM|1|^|BLD^Blood^HL7"
    b"0487\rRQD|1|\rRQ1|\rINV|\rMSA|AA|\rMSA|AE|\rERR||^^^|207^Application error^HL70357|E\rQPD|Q11^\rRCP|I|10^RD\r"
    b"Hospital^General^Clinic^Ward^Room^Bed^Street^^^^^USA^H^^^^PRN^PH^^^NET^Internet^WPN^ORN^CP^FAX^(555)555-0100^1^"
    b"Smith^John^Mary^Robert^James^Elizabeth^Michael^Anna^Maria^^Dr.^MD^^^^^^^L^^^MR^^^SS^^^PI^^^VN^^^AN^^^MRN^^^&2.16."
    b"840.1.113883&ISO^^^D^^^NPI^^^^EI|||M|||F|||U||2106-3^White^HL70005|2054-5|2028-9|EN^English|S^Single|M^Married|"
    b"CAT|N||Y||A|AD|\r"
    b"OBX|1|ST|^^LN||||||||F|||\rOBX|1|TX|\rOBX|1|CE|\rOBX|1|CWE|\rOBX|2|NM|718-7^Hemoglobin^LN||13.5|g/dL|12.0-16.0|"
    b"N|||F|||2026\rOBX|3|NM|8867-4^Heart rate^LN||72|/min|60-100|N|||F\rOBX|4|NM|8310-5^Body temperature^LN||37.0|Cel"
    b"|||||F\rOBX|5|NM|2160-0^Creatinine^LN||1.0|mg/dL|mmol/L|mm[Hg]|%|kg|cm|H|L|HH|LL|||F|||20261231235959\r"
    b"ORC|NW||||IP||1^^^^^R|||||\rORC|SC|\rORC|OK|\rORC|RE|\rOBR|1|||^^L|||2026|||||||||||||||||LAB|F||^^^^^R\r"
    b"PV1|1|O|^^^|R||||^^^^^^^|||||||||||||||||||||||||||||||||||\rPV1|1|I|^^^^^^^^|E|||^^^^^^^^^^^NPI|^^^^^^|MED|SUR||||1"
    b"|||||||VN|||||||||||||||||||||||||2026\rPID|1||^^^^MR||^^^^^^L||19700101|M||2106-3|^^^^^USA||^PRN^PH|||S|||||||||"
    b"||||N\rPID|1||^^^^PI||^^||198|F|||^^^^\rPID|||\rEVN||2026|||\rEVN|A04|2026\rEVN|A08|20261231\rEVN|A01|20261231|||\r"
    b"MSH|^~\\&|||||2026||ACK^A01^ACK||P|2.3\rMSH|^~\\&||||||20260101||SIU^S12^SIU_S12||P|2.4\rMSH|^~\\&||||||2026||DFT^"
    b"P03^DFT_P03||P|2.3.1\rMSH|^~\\&||||||2026||MFN^M05^MFN_M05||P|2.6\rMSH|^~\\&||||||2026||OMS^O05^OMS_O05||P|2.7|||"
    b"AL|AL\rMSH|^~\\&||||||2026||RDS^O13^RDS_O13||P|2.8|||NE\rMSH|^~\\&||||||2026||ORM^O01^ORM_O01||P|2.5\rMSH|^~\\&||||"
    b"||2026||ORU^R01^ORU_R01||P|2.5.1|||AL|NE||UNICODE UTF-8|||\rMSH|^~\\&||||||20261231235959.000-0600||ADT^A08^ADT_A01"
    b"||P|2.5.1|||AL|NE||8859/1|||\rMSH|^~\\&|"
)
_DICTIONARIES: Final[Mapping[int, bytes]] = {HL7_2026: _HL7}
_READY: Final = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW, _MEMORY, zlib.Z_DEFAULT_STRATEGY, _HL7)


def pack(data: bytes) -> tuple[int, bytes]:
    """How it is packed, and the bytes to store: those that came, unless packing makes them a tenth smaller."""
    if not SMALLEST <= len(data) <= LARGEST:
        return AS_IT_CAME, data
    one = _READY.copy()  # a copy has read the dictionary already
    packed = one.compress(data) + one.flush()
    return (HL7_2026, packed) if len(packed) * 10 <= len(data) * 9 else (AS_IT_CAME, data)


def unpack(packing: int, payload: bytes) -> bytes:
    """The bytes as they came.

    Raises:
        KeyError: packed by a later version of ours.
    """
    if packing == AS_IT_CAME:
        return payload
    return zlib.decompressobj(_WINDOW, _DICTIONARIES[packing]).decompress(payload)
