"""Which outside systems we can speak to: for each kind a table from the name in the settings to what builds the adapter."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from adapters.directory.channel import ChannelDirectory
from adapters.erp.tryton.erp import TrytonErp
from adapters.folders.local import LocalFolder
from adapters.hr.tryton import TrytonHr
from adapters.identity.scim import ScimTarget
from adapters.manual import Errands, ManualTarget
from adapters.scheduling.rest import RestScheduling
from adapters.supplier.x12_sftp import X12SftpSupplier
from adapters.verification.dea import DeaRegistrants
from adapters.verification.licence_board import LicenceBoard
from adapters.verification.nppes import Nppes
from canonical.access import AccessTarget
from canonical.directory import DirectoryLog
from canonical.folders import FileSource, Folder
from canonical.hr_ports import HrSystem
from canonical.mailboxes import Mailbox
from canonical.parties import Partner
from canonical.people_ports import ClinicianTarget, Verifier
from canonical.ports import Erp, Journal, Numbering, SupplierChannel

# Each call has a connection of its own: on one kept open, a second answer to a call would be read as the answer to the next, which
# is about somebody else.
ONE_ANSWER: Final = httpx.Limits(max_keepalive_connections=0)


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
    client = _client(access)
    return TrytonErp(client, access.url, access.database, access.user, access.password)


def tryton_hr(access: ErpAccess) -> HrSystem:
    """Employees in a Tryton database of their own."""
    return TrytonHr(_client(access), access.url, access.database, access.user, access.password)


def _client(access: ErpAccess) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        limits=ONE_ANSWER,
        timeout=httpx.Timeout(access.timeout, connect=min(5.0, access.timeout)),
        event_hooks={"request": list(access.on_request)},
        trust_env=False,
    )


ERPS: Final[Mapping[str, Callable[[ErpAccess], Erp]]] = {"tryton": tryton}

# By the kind in the settings; who asks is a sender of the register.
HR_SYSTEMS: Final[Mapping[str, Callable[[ErpAccess], HrSystem]]] = {"tryton": tryton_hr}

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


@dataclass(frozen=True)
class TargetWays:
    """What the ways to systems that are told of people stand on."""

    secrets: Path
    directory: DirectoryLog
    errands: Errands
    erp: Callable[[], ErpAccess]
    on_request: Sequence[Callable[[httpx.Request], Awaitable[None]]] = ()

    def client(self, target: AccessTarget) -> httpx.AsyncClient:
        """A client of our own for a target; it waits as long as the target's row says."""
        return httpx.AsyncClient(
            limits=ONE_ANSWER,
            timeout=httpx.Timeout(target.timeout, connect=min(5.0, target.timeout)),
            event_hooks={"request": list(self.on_request)},
            follow_redirects=False,
            trust_env=False,
        )

    def token(self, target: AccessTarget) -> Path | None:
        """The file with the bearer token we show it, read for each call."""
        return self.secrets / Path(target.token_file).name if target.token_file else None


def _employees(target: AccessTarget, ways: TargetWays) -> ClinicianTarget:
    erp = tryton(ways.erp())
    assert isinstance(erp, TrytonErp)
    return erp.employees


# By the adapter in the target's row.
TARGETS: Final[Mapping[str, Callable[[AccessTarget, TargetWays], ClinicianTarget]]] = {
    "scim": lambda target, ways: ScimTarget(ways.client(target), target, ways.token(target)),
    "rest_scheduling": lambda target, ways: RestScheduling(ways.client(target), target, ways.token(target)),
    "hl7_mfn_m02": lambda target, ways: ChannelDirectory(target, ways.directory, "mfn"),
    "hl7_pmu": lambda target, ways: ChannelDirectory(target, ways.directory, "pmu"),
    "fhir_practitioner_role": lambda target, ways: ChannelDirectory(target, ways.directory, "fhir"),
    "tryton": _employees,
    "manual": lambda target, ways: ManualTarget(target, ways.errands),
}

# By the adapter in the verification source's row: what asks it, given a client, the source's code and address. Exclusion lists
# are not asked but loaded (adapters.verification.leie) and looked up in our own store.
VERIFIERS: Final[Mapping[str, Callable[[httpx.AsyncClient, str, str], Verifier]]] = {
    "nppes": Nppes,
    "licence_board": LicenceBoard,
    "dea": DeaRegistrants,
}
