"""What the hospital's own files say agrees with what the ERP says: nothing is refused, and what only one knows is there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.erp.tryton.erp import TrytonErp
from adapters.registry import ERPS
from demo.erp_database import Postgres
from store import migrate, register_csv
from store.authority import HOSPITAL
from store.database import open_engine
from store.register import StoredRegister
from tests.adapters.erp.conftest import RunningErp

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1200)]

SEED = Path(__file__).parents[3] / "demo" / "seed"


@pytest.fixture
async def engine(postgres: Postgres) -> AsyncIterator[AsyncEngine]:
    address = f"postgresql+asyncpg://fascia@127.0.0.1:{postgres.port}"
    outside = open_engine(f"{address}/postgres", pool=1)
    async with outside.connect() as connection:
        alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await alone.exec_driver_sql("create database register_agrees")
    await outside.dispose()
    engine = open_engine(f"{address}/register_agrees", pool=2)
    await migrate.upgrade(engine)
    yield engine
    await engine.dispose()


async def test_the_hospitals_files_agree_with_the_erp(running_erp: RunningErp, engine: AsyncEngine) -> None:
    erp = ERPS["tryton"](running_erp.access)
    assert isinstance(erp, TrytonErp)
    register = StoredRegister(engine)
    try:
        for report in await register.load_master_data(await erp.master_data("NGH"), "NGH"):
            assert (report.kind, report.refused) == (report.kind, ()) and report.loaded
    finally:
        await erp.close()
    for kind, path in register_csv.files(SEED):
        target, rows = register_csv.read(path, kind)
        report = await register.load(target, rows, HOSPITAL, "NGH")
        assert (path.name, report.refused) == (path.name, ())
    gloves = await register.item("NGH", "ITM-1001")
    assert gloves is not None and gloves.stocked_at_par and len(gloves.suppliers) == 2
    surgery = await register.cost_centre("NGH", "CC-4100")
    assert surgery is not None and surgery.budget is not None
    assert await register.employees("NGH", "manager")
    blocked = await register.supplier("CORVUS")
    assert blocked is not None and (blocked.status, blocked.status_reason) == ("blocked", "quality recall under review")
