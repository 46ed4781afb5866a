"""Made-up ADT messages of about 700 bytes, each from its number alone, for measurements of the journal."""

from __future__ import annotations

import random

_FIRST = [
    "Amara",
    "Bjorn",
    "Chidi",
    "Dolores",
    "Emeka",
    "Fatima",
    "Goran",
    "Hiroko",
    "Ines",
    "Jamal",
    "Katarzyna",
    "Liam",
    "Mateo",
    "Noor",
    "Olga",
    "Priya",
    "Quentin",
    "Rosa",
]
_LAST = [
    "Okafor",
    "Lindqvist",
    "Haddad",
    "Ito",
    "Kowalczyk",
    "Nguyen",
    "Oyelaran",
    "Petrov",
    "Quispe",
    "Rahman",
    "Schwarz",
    "Tanaka",
    "Ueda",
    "Vasquez",
    "Weiss",
    "Yilmaz",
]
_STREETS = [
    "Alder",
    "Birch",
    "Cedar",
    "Dogwood",
    "Elder",
    "Fir",
    "Ginkgo",
    "Hazel",
    "Ironwood",
    "Juniper",
    "Larch",
    "Maple",
    "Oak",
    "Poplar",
]
_TESTS = (
    "718-7^HEMOGLOBIN^LN",
    "2951-2^SODIUM^LN",
    "2823-3^POTASSIUM^LN",
    "6690-2^LEUKOCYTES^LN",
    "8302-2^BODY HEIGHT^LN",
)


def message(number: int) -> bytes:
    """The message of this number, always the same."""
    r = random.Random(number)
    at = f"2026{r.randint(1, 12):02d}{r.randint(1, 28):02d}{r.randint(0, 23):02d}{r.randint(0, 59):02d}{r.randint(0, 59):02d}"
    person = f"{r.choice(_LAST)}^{r.choice(_FIRST)}^{r.choice('ABCDEFGH')}"
    segments = [
        f"MSH|^~\\&|WARD{number % 20}|NGH|FASCIA|HUB|{at}||ADT^A01^ADT_A01|{number:010d}|P|2.5.1|||AL|NE||UNICODE UTF-8",
        f"EVN|A01|{at}|||{r.choice(_LAST).upper()}{r.randint(1, 99)}^{r.choice(_LAST)}^{r.choice(_FIRST)}",
        f"PID|1||{r.randint(10**7, 10**8)}^^^NGH^MR~{r.randint(10**8, 10**9)}^^^STATE^SS||{person}||"
        f"19{r.randint(20, 99)}{r.randint(1, 12):02d}{r.randint(1, 28):02d}|{r.choice('MFU')}||"
        f"{r.choice(['2106-3', '2054-5', '2028-9'])}|"
        f"{r.randint(1, 9999)} {r.choice(_STREETS)} Road^Apt {r.randint(1, 99)}^Northgate^OR^97{r.randint(100, 999)}^USA||"
        f"(503)555-{r.randint(1000, 9999)}|||{r.choice('SMDW')}||{r.randint(10**9, 10**10)}",
        f"NK1|1|{r.choice(_LAST)}^{r.choice(_FIRST)}|SPO|||(503)555-{r.randint(1000, 9999)}",
        f"PV1|1|I|{r.randint(1, 9)}N^{r.randint(100, 599)}^{r.choice('AB')}^NGH|E|||{r.randint(1000, 9999)}^{r.choice(_LAST)}^"
        f"{r.choice(_FIRST)}^^^DR|||MED||||1|||{r.randint(1000, 9999)}^{r.choice(_LAST)}^{r.choice(_FIRST)}^^^DR|IP|"
        f"{r.randint(10**8, 10**9)}|||||||||||||||||||||||||{at}",
    ]
    for place in range(r.randint(1, 3)):
        value = f"{r.uniform(0.5, 220):.1f}"
        segments.append(
            f"OBX|{place + 1}|NM|{r.choice(_TESTS)}||{value}|{r.choice(['g/dL', 'mmol/L', 'cm'])}|||||F|||{at}"
        )
    return ("\r".join(segments) + "\r").encode()
