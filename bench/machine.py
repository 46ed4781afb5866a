"""Which machine and which versions a figure was measured on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import psutil  # type: ignore[import-untyped]
from sqlalchemy import text

from bench.stand import Stand


async def described(stand: Stand) -> dict[str, str]:
    """Processor, memory and versions; how busy the machine was stands with each figure."""
    async with stand.database.connect() as connection:
        postgres = await connection.scalar(text("show server_version"))
    cores, memory = os.cpu_count(), psutil.virtual_memory().total / 2**30
    return {
        "processor": f"{_processor()}, {cores} cores",
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "Temporal server": f"{stand.stack.home.read('temporal-store.json')['server']}",
        "Temporal's store": stand.temporals_store,
        "Temporal SDK": version("temporalio"),
        "Python": platform.python_version(),
        "PostgreSQL": f"{postgres}, fsync on",
    }


def _processor() -> str:
    known = Path("/proc/cpuinfo")
    rows = known.read_text(encoding="utf-8").splitlines() if known.exists() else []
    return next((row.partition(":")[2].strip() for row in rows if row.startswith("model name")), platform.processor())
