"""The hospital's trading partners: suppliers with a mailbox over SFTP each, and the order desks behind them.

``python -m demo.partner serve --home HOME --ports ALPINE=22101,BOREAL=22102`` serves them until it is told to stop. Keys are
made at the first start: a host key each, and for the hospital a user key each in ``HOME/secrets/mailbox_<supplier>``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import asyncssh

from demo.partner_desk import Desk
from demo.partner_mailbox import Mailbox
from demo.partner_script import Trader, load
from demo.partner_state import state_file

HOST = "127.0.0.1"
USER = "northfield"
LOOK_EVERY = 0.25


def user_key_file(home: Path, supplier: str) -> Path:
    """The hospital's private key for a supplier's mailbox."""
    return home / "secrets" / f"mailbox_{supplier.lower()}"


def host_key_file(home: Path, supplier: str) -> Path:
    """The supplier's own host key."""
    return home / "partners" / ".keys" / f"{supplier.lower()}_host"


def make_key(path: Path) -> asyncssh.SSHKey:
    """The key of that file, made at the first asking."""
    if path.exists():
        return asyncssh.read_private_key(str(path))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = asyncssh.generate_private_key("ssh-ed25519")
    unfinished = path.with_name(f".{path.name}.tmp")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(key.export_private_key())
    unfinished.replace(path)
    return key


def public_host_key(home: Path, supplier: str) -> str:
    """What the hospital pins: the public half of the supplier's host key."""
    return make_key(host_key_file(home, supplier)).export_public_key().decode().strip()


class Gate(asyncssh.SSHServer):
    """Lets one user in, with one key."""

    def __init__(self, key: asyncssh.SSHKey) -> None:
        self._key = key.export_public_key().decode()
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn

    def begin_auth(self, username: str) -> bool:
        if username == USER and self._connection is not None:
            self._connection.set_authorized_keys(asyncssh.import_authorized_keys(self._key))
        return True


async def open_mailbox(home: Path, supplier: str, port: int) -> asyncssh.SSHAcceptor:
    """Serve a supplier's folder, and nothing beside it, over SFTP."""
    root = Mailbox(home, supplier).root
    key = make_key(user_key_file(home, supplier))

    def session(chan: asyncssh.SSHServerChannel[bytes]) -> asyncssh.SFTPServer:
        return asyncssh.SFTPServer(chan, chroot=os.fsencode(root))

    return await asyncssh.create_server(
        lambda: Gate(key),
        HOST,
        port,
        server_host_keys=[make_key(host_key_file(home, supplier))],
        sftp_factory=session,
        allow_scp=False,
    )


async def work(desk: Desk) -> None:
    """Keep a desk at work."""
    while True:
        await asyncio.to_thread(desk.turn)
        await asyncio.sleep(LOOK_EVERY)


async def serve(home: Path, ports: dict[str, int], traders: dict[str, Trader]) -> None:
    """Serve every mailbox and run every desk, until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as doors:
        for supplier, port in ports.items():
            await doors.enter_async_context(await open_mailbox(home, supplier, port))
            _say(f"{supplier} serves its mailbox on sftp://{USER}@{HOST}:{port}")
        desks = [Desk(traders[code], Mailbox(home, code), state_file(home, code)) for code in ports]
        working = [asyncio.create_task(work(desk)) for desk in desks]
        stopping = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait({stopping, *working}, return_when=asyncio.FIRST_COMPLETED)
        for task in (stopping, *working):
            task.cancel()
        await asyncio.gather(*working, stopping, return_exceptions=True)
        for task in done - {stopping}:
            task.result()  # a desk that broke ends the program loudly; whoever holds it starts it again


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _ports(text: str) -> dict[str, int]:
    pairs = (pair.split("=") for pair in text.split(","))
    return {code: int(port) for code, port in pairs}


def main(arguments: list[str] | None = None) -> int:
    """The command line of the trading partners."""
    parser = argparse.ArgumentParser(prog="python -m demo.partner", description=__doc__)
    parser.add_argument("verb", choices=["serve"])
    parser.add_argument("--home", type=Path, default=Path(os.environ.get("FASCIA_HOME") or ".fascia"))
    parser.add_argument("--ports", type=_ports, required=True, help="ALPINE=22101,BOREAL=22102")
    parser.add_argument("--script", type=Path, default=None, help="how the suppliers behave; default: the story's")
    chosen = parser.parse_args(arguments)
    traders = load(chosen.script)
    asyncio.run(serve(chosen.home.expanduser().absolute(), chosen.ports, traders))
    return 0


if __name__ == "__main__":
    sys.exit(main())
