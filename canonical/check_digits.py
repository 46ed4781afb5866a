"""Numbers of clinicians that carry a check digit: what is mistyped is seen before any source is asked.

NPI: 45 CFR 162.406 (Luhn over the number with the prefix 80840). DEA: two letters and seven digits, 21 CFR 1301; the sum is common
knowledge (DEA Diversion Control, Practitioner's Manual).
"""

from __future__ import annotations

import re
from typing import Final

_NPI: Final = re.compile(r"[12]\d{9}", re.ASCII)
_DEA: Final = re.compile(r"[A-Z][A-Z9]\d{7}", re.ASCII)
_PREFIX: Final = 24  # what the digits of 80840 add to the sum
NPI_RULE: Final = (
    "this is no NPI: ten digits, the first 1 or 2, and the last the check digit "
    "(Luhn over 80840 and the number, 45 CFR 162.406)"
)
DEA_RULE: Final = (
    "this is no DEA number: its last digit is the check digit, the last of the sum of the first, third and fifth digit "
    "and twice the second, fourth and sixth"
)
PRACTITIONERS: Final = frozenset(
    "ABFG"
)  # registrant classes of the DEA number's first letter that prescribe in their own right
MID_LEVEL: Final = "M"


def is_npi(number: str) -> bool:
    """Whether it is a National Provider Identifier: ten digits, the first 1 or 2, with the right check digit."""
    return _NPI.fullmatch(number) is not None and (_luhn(number) + _PREFIX) % 10 == 0


def is_dea(number: str) -> bool:
    """Whether it is a DEA registration's number: its class, a letter (or 9), seven digits of which the last is right."""
    if _DEA.fullmatch(number) is None:
        return False
    digits = [int(sign) for sign in number[2:]]
    return (digits[0] + digits[2] + digits[4] + 2 * (digits[1] + digits[3] + digits[5])) % 10 == digits[6]


def mistyped_dea(number: str) -> bool:
    """Whether it has the form of a DEA registration's number and another last digit than it should.

    What has not the form may be a number of its own kind: a hospital's with a suffix, which its residents use (21 CFR 1301.22).
    """
    return _DEA.fullmatch(number) is not None and not is_dea(number)


def prescribes(number: str) -> bool:
    """Whether a DEA number is of a class that prescribes: a practitioner or a mid-level one, not a maker or distributor."""
    return number[:1] in PRACTITIONERS or number[:1] == MID_LEVEL


def with_npi_digit(nine: str) -> str:
    """The NPI of its first nine digits."""
    return next(number for digit in "0123456789" if is_npi(number := nine + digit))


def with_dea_digit(eight: str) -> str:
    """The DEA number of its two letters and first six digits."""
    return next(number for digit in "0123456789" if is_dea(number := eight + digit))


def _luhn(number: str) -> int:
    """The sum of the digits, every second from the right but one doubled (and its own digits summed)."""
    doubled = (int(sign) * 2 for sign in number[-2::-2])
    return sum(divmod_sum for one in doubled for divmod_sum in divmod(one, 10)) + sum(
        int(sign) for sign in number[::-2]
    )
