"""The sources that verify clinicians, as the program the hospital in a box runs."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import httpx

from demo.registries import HOST, licence, nppes, provider
from stack.home import free_port

PROVIDERS = [provider(f"18{count:08d}", "Doe", "Jane") for count in range(250)]


def test_nppes_keeps_its_published_limits() -> None:
    asked = {"version": "2.1", "last_name": "doe"}
    assert nppes(PROVIDERS, asked)["result_count"] == 10
    assert nppes(PROVIDERS, asked | {"limit": "200", "skip": "200"})["result_count"] == 50
    for wrong in ({"limit": "201"}, {"skip": "1001"}, {"version": "2.0"}, {"last_name": "", "state": "IL"}):
        assert "Errors" in nppes(PROVIDERS, asked | wrong)


async def test_the_program_serves_what_its_files_say_and_takes_up_what_changes(tmp_path: Path) -> None:
    books = tmp_path / "registries"
    books.mkdir()
    (books / "licences.json").write_text(json.dumps({"IL/036-1": licence("IL", "036-1", "Doe", "Jane")}))
    port = free_port(taken=set())
    serve = ("-m", "demo.registries", "serve", "--home", str(tmp_path), "--port", str(port))
    process = await asyncio.create_subprocess_exec(sys.executable, *serve)
    try:
        async with httpx.AsyncClient(base_url=f"http://{HOST}:{port}", trust_env=False) as client:
            assert await until(client, "/licences/IL/036-1", 200) == "Active"
            lapsed = licence("IL", "036-1", "Doe", "Jane", status="Expired")
            (books / "licences.json").write_text(json.dumps({"IL/036-1": lapsed}))
            assert await until(client, "/licences/IL/036-1", 200, "Expired") == "Expired"
            assert (await client.get("/licences/IL/036-2")).status_code == 404
            (books / "leie.csv").write_bytes(b"LASTNAME\r\n")
            await until(client, "/leie", 200, "LASTNAME")
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 60) == 0


async def until(client: httpx.AsyncClient, path: str, status: int, holds: str = "") -> str:
    """Ask until it answers so; a licence's status."""
    async with asyncio.timeout(120):
        while True:
            try:
                answer = await client.get(path)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code == status and holds in answer.text:
                return str(answer.json()["status"]) if "licences" in path else answer.text
            await asyncio.sleep(0.1)
