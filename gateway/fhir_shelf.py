"""What a sender has sent us by FHIR, as it is read back: by its id and version, or by its identifier.

A resource's first version is kept under a key made of its id, each later one under that and its number: no two can take one number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import parse_qsl

from canonical.messages import Kept
from canonical.senders import Sender
from formats.fhir import Identifier, Issue, Release, Resource
from gateway.beside import Beside
from gateway.fhir_faults import Refused
from gateway.fhir_judge import id_of, known_by, starts
from gateway.fhir_looks import reread

PENDING: Final = "its transaction is not whole"
SEARCHED: Final = "identifier"  # the one search parameter there is


class Keyed(Protocol):
    """The journal, as far as it is read by key."""

    async def kept_under(self, prefix: str) -> Sequence[Kept]: ...


@dataclass(frozen=True, slots=True)
class Stored:
    """A resource as it is kept: under which ``id`` and ``version``, since when, and whether this request ``created`` it.

    ``resource`` has what a door looks at, ``kept`` the bytes of all of it.
    """

    id: str
    resource: Resource
    kept: Kept
    created: bool = True
    version: int = 1

    @property
    def place(self) -> str:
        """Its address, relative to the base."""
        return f"{self.resource.type}/{self.id}"


class Shelf:
    """Reads back what senders sent; a large one is read beside the loop."""

    def __init__(self, journal: Keyed, beside: Beside) -> None:
        self._journal = journal
        self._beside = beside

    async def read(
        self, sender: Sender, release: Release, resource_type: str, name: str, version: int = 0
    ) -> Stored | None:
        """The resource of an id that this sender sent, in its newest version or that one; None where there is none."""
        found = await self._versions(known_by(sender, release, resource_type), name)
        wanted = [one for one in found.get(name, ()) if version in (0, one[0])]
        return await self._found(release, name, *max(wanted, key=lambda one: one[0])) if wanted else None

    async def search(self, sender: Sender, release: Release, resource_type: str, said: str) -> list[Stored]:
        """What this sender sent that has the identifier a search (``identifier=system|value``) names, in its newest version.

        Raises:
            Refused: it searches for anything else.
        """
        found: dict[str, list[tuple[int, Kept]]] = {}
        for ids in wanted(said):
            found |= await self._versions(known_by(sender, release, resource_type), ids)
        return [await self._found(release, name, *max(of, key=lambda one: one[0])) for name, of in found.items()]

    async def there(self, sender: Sender, release: Release, resource_type: str, said: str) -> Stored | None:
        """The one that a conditional create asks for, None where there is none.

        Raises:
            Refused: there are several, or the search is none we do.
        """
        found = await self.search(sender, release, resource_type, said)
        if len(found) > 1:
            raise Refused(412, "Several resources have the identifier of If-None-Exist: name its system too")
        return found[0] if found else None

    async def _versions(self, place: str, begins: str) -> dict[str, list[tuple[int, Kept]]]:
        """By id, every version of what is kept under ids that begin so."""
        found: dict[str, list[tuple[int, Kept]]] = {}
        for kept in await self._journal.kept_under(f"{place}{begins}"):
            name, _, version = kept.key.removeprefix(place).partition("/")
            if not pending(kept):
                found.setdefault(name, []).append((int(version or 1), kept))
        return found

    async def _found(self, release: Release, name: str, version: int, kept: Kept) -> Stored:
        resource = await self._beside.run(len(kept.data), reread, kept.data, release)
        return Stored(name, resource, kept, created=False, version=version)


def version_key(key: str, version: int) -> str:
    """The key in the journal of a version of what has this key."""
    return key if version == 1 else f"{key}/{version}"


def wanted(said: str) -> list[str]:
    """How the ids begin that a search asks for.

    Raises:
        Refused: it is no search by identifier.
    """
    asked = [(name, value) for name, value in parse_qsl(said.lstrip("?"), keep_blank_values=True) if name[:1] != "_"]
    if len(asked) != 1 or asked[0][0] != SEARCHED:
        raise Refused(400, [Issue("not-supported", f"Search by {SEARCHED}=system|value, and by nothing else")])
    return [_wanted(token) for token in _cut(asked[0][1], ",")]


def _wanted(token: str) -> str:
    parts = [part.strip() for part in _cut(token, "|")]
    if len(parts) > 2 or not parts[-1]:
        raise Refused(400, [Issue("value", f"{SEARCHED} is system|value or value")])
    return id_of(Identifier(*parts)) if len(parts) == 2 else starts(parts[0])


def _cut(text: str, sign: str) -> list[str]:
    """Cut where a sign stands that is not escaped, and take the escapes of what was cut by the last sign (|)."""
    parts, part, escaped = [], "", False
    for letter in text:
        if escaped:
            part += letter if sign == "|" else f"\\{letter}"
            escaped = False
        elif letter == "\\":
            escaped = True
        elif letter == sign:
            parts.append(part)
            part = ""
        else:
            part += letter
    return [*parts, part]


def pending(kept: Kept) -> bool:
    """Whether it was kept with a transaction that was never whole: as good as not sent."""
    return kept.state == "refused" and kept.reason == PENDING
