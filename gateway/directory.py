"""Knows who sends: finds the one sender a message is of, by where it comes from and whom it names.

A snapshot of the register, read again every now and then: finding somebody asks nothing of anybody, so a message can be lined up
for keeping at once, also while our database is away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from canonical.senders import Mapping, Mappings, Sender
from formats.hl7 import Header
from gateway.mllp_peer import Peer

MOST_REMEMBERED = 10_000  # of those who asked; whoever makes up names gets no memory of ours
NO_CODES = Mappings()


class SenderRegister(Protocol):
    """The register, as far as senders go."""

    async def senders(self) -> Sequence[Sender]: ...
    async def mappings(self) -> Sequence[Mapping]: ...


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody we know, and why."""

    reason: str


class Directory:
    """The senders and their tables of codes. Found by where they send from are those of one ``dialect``; by code, all."""

    def __init__(self, register: SenderRegister, dialect: str = "hl7") -> None:
        self._register = register
        self._dialect = dialect
        self._senders: dict[str, Sender] = {}
        self._mappings: dict[str, Mappings] = {}
        self._found: dict[tuple[str, str, str, str], Sender | Unknown] = {}

    async def refresh(self) -> None:
        """Read the register again; what was read before stays where it cannot be read.

        Raises:
            Unavailable: our database does not answer.
        """
        senders = {one.code: one for one in await self._register.senders()}
        tables: dict[str, dict[str, dict[str, str]]] = {}
        for mapping in await self._register.mappings():
            tables.setdefault(mapping.sender, {})[mapping.table] = mapping.rows
        self._senders, self._found = senders, {}
        self._mappings = {sender: Mappings(found) for sender, found in tables.items()}

    def sender(self, code: str) -> Sender | None:
        """A sender by its code, also one that may not send any more."""
        return self._senders.get(code)

    def mappings(self, code: str) -> Mappings:
        """A sender's tables of codes as in force."""
        return self._mappings.get(code, NO_CODES)

    def find(self, peer: Peer, head: Header) -> Sender | Unknown:
        """Whose message this is. Of several rows that fit, the one that names most; two that name as much are nobody."""
        certificate = peer.certificate.fingerprint if peer.certificate else ""
        key = (certificate, peer.host, *head.sender)
        remembered = self._found  # a refresh meanwhile begins another
        found = remembered.get(key)
        if found is None:
            if len(remembered) >= MOST_REMEMBERED:
                remembered.clear()
            found = remembered[key] = self._sought(*key)
        return found

    def _sought(self, certificate: str, host: str, application: str, facility: str) -> Sender | Unknown:
        able = [one for one in self._senders.values() if one.active and one.dialect == self._dialect]
        there = [one for one in able if _comes_so(one, certificate, host)]
        fitting = [one for one in there if _is_named(one, application, facility)]
        if not fitting:
            way = "certificate" if certificate else "address"
            what = "MSH-3 and MSH-4 name nobody known there" if there else f"nobody known sends from this {way}"
            return Unknown(what)
        most = max(_exactness(one) for one in fitting)
        best = sorted(one.code for one in fitting if _exactness(one) == most)
        if len(best) > 1:
            return Unknown(f"it could be {' or '.join(best)}: their rows must differ in what they name")
        return self._senders[best[0]]


def _comes_so(sender: Sender, certificate: str, host: str) -> bool:
    shown = not sender.certificates or certificate in sender.certificates
    return shown and sender.comes_from(host)


def _is_named(sender: Sender, application: str, facility: str) -> bool:
    names = ((sender.applications, application), (sender.facilities, facility))
    return all(not allowed or given in allowed for allowed, given in names)


def _exactness(sender: Sender) -> int:
    """How much a row asks for; a certificate outweighs the rest."""
    weights = ((sender.certificates, 8), (sender.applications, 4), (sender.facilities, 2), (sender.addresses, 1))
    return sum(weight for given, weight in weights if given)
