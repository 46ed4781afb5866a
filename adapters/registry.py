"""Which outside systems we can speak to: for each kind a table from the name in the settings to what builds the adapter."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from adapters.erp.tryton.erp import TrytonErp
from adapters.folders.local import LocalFolder
from adapters.supplier.x12_sftp import X12SftpSupplier
from canonical.folders import FileSource, Folder
from canonical.mailboxes import Mailbox
from canonical.parties import Partner
from canonical.ports import Erp, Journal, Numbering, SupplierChannel


@dataclass(frozen=True)
class ErpAccess:
    """Where an ERP is and as whom we sign in. The password never shows in ``repr``."""

    url: str
    database: str
    user: str
    password: str = field(repr=False)
    timeout: float = 20.0
    on_request: Sequence[Callable[[httpx.Request], Awaitable[None]]] = ()  # carries the trace along


def tryton(access: ErpAccess) -> Erp:
    """Tryton 8.2 over its remote calls."""
    client = httpx.AsyncClient(
        timeout=httpx.Timeout(access.timeout, connect=min(5.0, access.timeout)),
        event_hooks={"request": list(access.on_request)},
        trust_env=False,
    )
    return TrytonErp(client, access.url, access.database, access.user, access.password)


ERPS: Final[Mapping[str, Callable[[ErpAccess], Erp]]] = {"tryton": tryton}

# By the dialect in the partner's row.
SUPPLIERS: Final[Mapping[str, Callable[[Numbering, Journal, Callable[[Partner], Mailbox]], SupplierChannel]]] = {
    "x12": X12SftpSupplier
}


def over_sftp(source: FileSource, keys: Path) -> Folder:
    """A folder over SFTP, whose library only those load that use one."""
    from adapters.folders.sftp import SftpFolder

    return SftpFolder(source, keys=keys)


# By the kind in the file source's row; the keys of those over SFTP are in the folder of our secrets.
FOLDERS: Final[Mapping[str, Callable[[FileSource, Path], Folder]]] = {
    "folder": lambda source, _: LocalFolder(source),
    "sftp": over_sftp,
}
