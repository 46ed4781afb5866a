"""Where files come from: a folder of ours or one over SFTP, when a file in it is whole, and where it goes afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Annotated, Literal, Protocol

from pydantic import Field, StringConstraints, field_validator, model_validator

from canonical.base import CODE, Canonical, Text
from canonical.senders import SenderCode

FileSourceCode = Annotated[str, CODE]
FolderName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]
UNFINISHED = (
    ".tmp",
    ".part",
    ".partial",
    ".filepart",
    ".crdownload",
    ".swp",
)  # how programs name what they still write


class FileSource(Canonical):
    """A folder that is watched for a sender's files.

    ``kind``: a folder of this machine, or one over SFTP, as ``user`` by the key of the file ``key_file`` (its name among our
    secrets, never the key) and to the one machine whose public key is ``host_key``. ``path`` is the folder files are put in;
    ``claimed``, ``archive``, ``refused`` and ``results`` are folders in it. ``pattern``: which files are its own.
    ``complete`` says when a file is whole: its size and time stayed the same for ``stable_for`` seconds, a file of its name and
    ``marker`` stands beside it, or at once, since its sender writes under another name and renames. ``checksum``: a file of its
    name and ``.sha256`` beside it is compared if it is there, or waited for. A file that waits for one of these longer than
    ``companions_within`` seconds is listed for a person, and so is one of these whose file does not come. ``feed``: what its
    files are read as.
    ``bad_rows``: said otherwise than in its sender's row. A file larger than ``largest`` bytes is left where it is.
    """

    code: FileSourceCode
    sender: SenderCode
    feed: Annotated[str, CODE]
    kind: Literal["folder", "sftp"] = "folder"
    name: Text = ""
    path: str = Field(min_length=1, max_length=500)
    host: str = Field(default="", max_length=255)
    port: int = Field(default=22, ge=1, le=65535)
    user: str = Field(default="", max_length=120)
    key_file: str = Field(default="", max_length=120)
    host_key: str = Field(default="", max_length=2000)
    pattern: str = Field(default="*.csv", min_length=1, max_length=120)
    complete: Literal["stable", "marker", "rename"] = "stable"
    stable_for: int = Field(default=10, ge=1, le=86_400)
    marker: str = Field(default=".done", pattern=r"^\.[A-Za-z0-9._-]{1,20}$")
    checksum: Literal["if there", "required"] = "if there"
    companions_within: int = Field(default=3600, ge=1, le=604_800)
    claimed: FolderName = ".claimed"
    archive: FolderName = "archive"
    refused: FolderName = "refused"
    results: FolderName = "results"
    bad_rows: Literal["apart", "refuse all"] | None = None
    largest: int = Field(default=64 * 1024 * 1024, ge=1, le=256 * 1024 * 1024)
    owner: Text = ""
    contact: Text = ""
    active: bool = True

    @field_validator("claimed", "archive", "refused", "results")
    @classmethod
    def _inside(cls, given: str) -> str:
        if given.startswith("/") or ".." in PurePosixPath(given).parts or "\x00" in given:
            raise ValueError("a folder within the watched one, without ..")
        return given

    @model_validator(mode="after")
    def _reachable(self) -> FileSource:
        if self.kind == "sftp" and not (self.host and self.user and self.key_file and self.host_key):
            raise ValueError("a folder over SFTP needs host, user, key_file and host_key")
        if self.kind == "folder" and not self.path.startswith("/"):
            raise ValueError("the path of a folder begins with /")
        folders = (self.claimed, self.archive, self.refused, self.results)
        if len(set(folders)) < len(folders):
            raise ValueError("claimed, archive, refused and results are four folders")
        return self


class FolderFile(Canonical):
    """A file in a folder: its size in bytes, and when it was last written (seconds, as its own machine counts).

    ``named``: whether its name is text at all; nobody can ask for a file whose name is not, and ``name`` only shows it then.
    """

    name: str
    size: int
    modified: float
    named: bool = True

    @classmethod
    def of(cls, name: str, size: int, modified: float) -> FolderFile:
        """A file of this name as the system gives it, with surrogates for bytes that are no UTF-8."""
        shown = name.encode("utf-8", "backslashreplace").decode()
        return cls(name=shown, size=size, modified=modified, named=shown == name)


class Folder(Protocol):
    """The folders of one file source. ``folder`` empty is the one files are put in; the others are within it.

    Raises everywhere: Unavailable (the other side, or the file system, is away), Rejected (it does not let us).
    """

    async def list(self, folder: str = "") -> Sequence[FolderFile]:
        """Its files, oldest first and by name; names that begin with a dot, links and folders left out."""
        ...

    async def read(self, name: str, folder: str = "") -> bytes:
        """A file's bytes. Unavailable while it is still being written; Rejected ``not-found`` where there is none."""
        ...

    async def move(self, name: str, folder: str, to: str, *, exactly: bool = False, under: str = "") -> str:
        """Move a file in one step, ``under`` another name where one is given; gives the name it has there, empty where it is
        not there (any more).

        What lies there under its name stays, and this one gets a number; with ``exactly``, it is not moved then (empty).
        """
        ...

    async def put(self, name: str, data: bytes, folder: str) -> None:
        """Put a file whole or not at all; the same name again replaces it."""
        ...

    async def close(self) -> None:
        """Give the connection back."""
        ...


class Arrival(Canonical):
    """A file that came before: its message, the key it was kept under, and the SHA-256 of its bytes."""

    id: str
    key: str
    hash: str


class FileStanding(Canonical):
    """How far the work on a file is: rows it has, and rows that are done."""

    rows: int = 0
    done: int = 0
