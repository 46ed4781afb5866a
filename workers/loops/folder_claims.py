"""Claims a file of a watched folder together with what goes with it (its checksum, its marker), and archives them together.

Each is moved by one step, what goes with a file first and the file last, under a name that says which file it goes with: its
size and the time it was last written. So whoever comes after a killed process sees of every one whose it is, and what its sender
put there meanwhile is never held against it.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from canonical.errors import Rejected
from canonical.folders import FileSource, Folder, FolderFile

CHECKSUM: Final = ".sha256"
_OF: Final = re.compile(r"(?P<named>.+)~(?P<token>\d+-\d+)", re.DOTALL)


@dataclass(frozen=True)
class Claim:
    """A claimed file and what was claimed with it: the name each has in the claimed folder, by what it is."""

    file: FolderFile
    companions: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The file's name."""
        return self.file.name


@dataclass(frozen=True)
class Companion:
    """Something in the claimed folder that goes with a file: the file's name and token, what it is, and its own name there."""

    of: str
    token: str
    suffix: str
    name: str


def suffixes(source: FileSource) -> tuple[str, ...]:
    """What the names of things that go with a file end in."""
    return tuple(dict.fromkeys((CHECKSUM, source.marker)))


def goes_with(source: FileSource, name: str) -> tuple[str, str] | None:
    """The file that something of this name goes with, and what it is (``.sha256``); None where it goes with none."""
    for suffix in suffixes(source):
        if name.endswith(suffix) and len(name) > len(suffix):
            return name.removesuffix(suffix), suffix
    return None


def token_of(file: FolderFile) -> str:
    """What tells a file from another of its name; a move does not change it."""
    return f"{file.size}-{int(file.modified * 1_000_000)}"


def claimed_companion(source: FileSource, name: str) -> Companion | None:
    """What a name in the claimed folder says, where it is that of something that goes with a file."""
    found = _OF.fullmatch(name)
    with_what = goes_with(source, found["named"]) if found else None
    if found is None or with_what is None:
        return None
    return Companion(with_what[0], found["token"], with_what[1], name)


class FolderClaims:
    """Claims of one source, for one round."""

    def __init__(self, source: FileSource, folder: Folder, today: date) -> None:
        self._source = source
        self._folder = folder
        self._today = today

    async def claim(self, file: FolderFile, beside: Mapping[str, FolderFile]) -> Claim | None:
        """Claim a file and what lies beside it, as they were seen; None where somebody exchanged or took one of them meanwhile.

        What was claimed already is given back then, and the next round looks anew.
        """
        source, folder, token = self._source, self._folder, token_of(file)
        moved: dict[str, str] = {}
        for suffix, one in beside.items():
            under = f"{one.name}~{token}"
            if not await folder.move(one.name, "", source.claimed, exactly=True, under=under):
                await self._give_back(file.name, moved)
                return None
            moved[suffix] = under
        if not await folder.move(file.name, "", source.claimed, exactly=True):
            await self._give_back(file.name, moved)
            return None
        lying = {one.name: one for one in await folder.list(source.claimed)}
        seen = {file.name: file} | {moved[suffix]: one for suffix, one in beside.items()}
        if all(name in lying and token_of(lying[name]) == token_of(one) for name, one in seen.items()):
            return Claim(file, moved)
        await self.give_back(Claim(file, moved))
        return None

    async def left(self, waiting: Mapping[str, FolderFile]) -> tuple[list[Claim], list[Companion]]:
        """What a process that ended had claimed, or what waits there; half a claim is given back, half an archiving is ended.

        ``waiting``: what lies in the watched folder. Gives the claims, oldest first, and what went with a file that is nowhere
        any more.
        """
        lying = await self._folder.list(self._source.claimed)
        companions = [found for one in lying if (found := claimed_companion(self._source, one.name)) is not None]
        others = {one.name for one in companions}
        files = {one.name: one for one in lying if one.name not in others}
        own: dict[str, dict[str, str]] = {name: {} for name in files}
        orphans = []
        for one in companions:
            if one.of in files and token_of(files[one.of]) == one.token:
                own[one.of][one.suffix] = one.name
            elif not await self._settled(one, waiting):
                orphans.append(one)
        return [Claim(file, own[name]) for name, file in files.items()], orphans

    async def late(self, claim: Claim, waiting: Mapping[str, FolderFile]) -> Claim:
        """A claim that waited, with what came for it meanwhile: as long as no other file of its name is there, it is its own."""
        if claim.name in waiting:
            return claim
        found = dict(claim.companions)
        for suffix in suffixes(self._source):
            name = claim.name + suffix
            if suffix not in found and name in waiting:
                under = f"{name}~{token_of(claim.file)}"
                if await self._folder.move(name, "", self._source.claimed, exactly=True, under=under):
                    found[suffix] = under
        return Claim(claim.file, found)

    async def give_back(self, claim: Claim) -> bool:
        """Put a claim back where its sender left it; False where another file of its name lies there: it stays claimed then."""
        await self._give_back(claim.name, claim.companions)
        return bool(await self._folder.move(claim.name, self._source.claimed, "", exactly=True))

    async def archive(self, claim: Claim, folder: str) -> None:
        """Move a claimed file to its last place, and what goes with it beside it, under the name it has there."""
        there = await self._folder.move(claim.name, self._source.claimed, folder) or claim.name
        for suffix, name in claim.companions.items():
            await self._folder.move(name, self._source.claimed, folder, under=f"{there}{suffix}")

    async def archive_late(self, name: str, of: str, suffix: str) -> None:
        """Move what came after its file was taken beside it, under the name the file has there where it was taken today."""
        to = f"{self._source.archive}/{self._today.isoformat()}"
        there = {one.name for one in await self._folder.list(to)}
        last = max((one for one in there if _is_of(of, one)), key=lambda one: (len(one), one), default=of)
        await self._folder.move(name, "", to, under=f"{last}{suffix}")

    async def aside(self, name: str, folder: str = "", under: str = "") -> None:
        """Move something nobody will ask for to the refused ones."""
        await self._folder.move(name, folder, f"{self._source.refused}/{self._today.isoformat()}", under=under or name)

    async def _give_back(self, of: str, companions: Mapping[str, str]) -> None:
        for suffix, name in companions.items():
            await self._back(name, f"{of}{suffix}")

    async def _back(self, name: str, under: str) -> None:
        """Where its sender has put another by now, ours is of no use to anybody."""
        if not await self._folder.move(name, self._source.claimed, "", exactly=True, under=under):
            await self.aside(name, self._source.claimed, under)

    async def _settled(self, one: Companion, waiting: Mapping[str, FolderFile]) -> bool:
        """Bring what lies in the claimed folder without its file to where that is."""
        file = waiting.get(one.of)
        if file is not None and token_of(file) == one.token:
            await self._back(one.name, f"{one.of}{one.suffix}")
            return True
        for day in (self._today, self._today - timedelta(days=1)):
            for place in (self._source.archive, self._source.refused):
                to = f"{place}/{day.isoformat()}"
                for there in await self._folder.list(to):
                    if _is_of(one.of, there.name) and token_of(there) == one.token:
                        await self._folder.move(one.name, self._source.claimed, to, under=f"{there.name}{one.suffix}")
                        return True
        return False


async def read_beside(folder: Folder, name: str, place: str = "") -> bytes | None:
    """What stands in something that goes with a file; None where it is not there, nothing where it is no such thing."""
    try:
        return await folder.read(name, place)
    except Rejected as unread:
        if unread.code in ("data-invalid", "too-large"):
            return b""
        if unread.code != "not-found":
            raise
        return None


def beside(source: FileSource, name: str, waiting: Mapping[str, FolderFile]) -> dict[str, FolderFile]:
    """What lies beside a file and goes with it, by what it is."""
    return {suffix: waiting[name + suffix] for suffix in suffixes(source) if name + suffix in waiting}


def lacking(source: FileSource, there: Container[str]) -> str:
    """What a file still waits for, by what its source asks; empty: nothing."""
    if source.checksum == "required" and CHECKSUM not in there:
        return CHECKSUM
    if source.complete == "marker" and source.marker not in there:
        return source.marker
    return ""


def _is_of(name: str, archived: str) -> bool:
    """Whether a name in the archive is that of a file of this name: its own, or with a number behind it."""
    return archived == name or (archived.startswith(f"{name}.") and archived[len(name) + 1 :].isdecimal())
