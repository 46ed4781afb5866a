"""Loads of the register from files and from the ERP, told in one report however many files there were."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from canonical.errors import Malformed
from canonical.ports import Erp
from cli.exits import wrong_usage
from cli.views import LoadedRecord, LoadReport
from store import register_csv
from store.acts import Act
from store.authority import KINDS
from store.register import LoadReport as Stored
from store.register import StoredRegister


async def from_path(
    register: StoredRegister,
    path: Path,
    kind: str,
    facility: str,
    source: str,
    *,
    dry_run: bool,
    act: Act,
    by: str = "",
) -> LoadReport:
    """Load a file, or the files of a folder in the order in which one names the other."""
    if kind and register_csv.target(kind) not in KINDS:
        raise wrong_usage(f"the register has no {kind}", f"one of {', '.join(KINDS)}")
    if path.is_dir():
        if kind:
            raise wrong_usage("--kind is for one file; the files of a folder are told apart by their names")
        files = register_csv.files(path)
        if not files:
            raise wrong_usage(f"{path} has no file of the register", f"known are {', '.join(register_csv.FILES)}")
    else:
        files = [(kind or register_csv.kind_of(path) or "", path)]
    records: list[LoadedRecord] = []
    for of_kind, file in files:
        alone = len(files) == 1
        records += await _file(register, file, of_kind, facility, source, alone=alone, dry_run=dry_run, act=act, by=by)
    return report(str(path), records, dry_run=dry_run)


async def _file(
    register: StoredRegister,
    file: Path,
    kind: str,
    facility: str,
    source: str,
    *,
    alone: bool,
    dry_run: bool,
    act: Act,
    by: str,
) -> list[LoadedRecord]:
    """One file; in a folder, one that cannot be read is refused whole and the others go on."""
    try:
        target, rows = register_csv.read(file, kind or None)
    except Malformed as wrong:
        if alone:
            raise
        return [LoadedRecord(kind=kind, outcome="refused", where=file.name, reason=wrong.message)]
    deed = act.model_copy(update={"detail": f"{file.name}, the word of {source}"})
    stored = await register.load(target, rows, source, facility, dry_run=dry_run, by=by, act=deed)
    return told(stored, file.name)


async def from_erp(register: StoredRegister, erp: Erp, facility: str, *, dry_run: bool, act: Act) -> LoadReport:
    """Load what the ERP is the authority for."""
    data = await erp.master_data(facility)
    deed = act.model_copy(update={"detail": "from the ERP"})
    reports = await register.load_master_data(data, facility, dry_run=dry_run, act=deed)
    return report("erp", [record for one in reports for record in told(one, "erp")], dry_run=dry_run)


def told(stored: Stored, where: str) -> list[LoadedRecord]:
    """The store's report as ours."""
    return [
        LoadedRecord(
            kind=stored.kind,
            code=record.code,
            outcome=record.outcome,
            reason=f"{record.path}: {record.reason}" if record.path else record.reason,
            where=f"{where} row {record.row}",
        )
        for record in stored.records
    ]


def report(source: str, records: Sequence[LoadedRecord], *, dry_run: bool) -> LoadReport:
    """Counted."""
    count = {
        outcome: sum(1 for one in records if one.outcome == outcome) for outcome in ("loaded", "unchanged", "refused")
    }
    return LoadReport(source=source, records=tuple(records), dry_run=dry_run, **count)
