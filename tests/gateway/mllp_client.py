"""A sender on a raw socket: every byte and every moment is the test's own choice."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from contextlib import suppress

from formats.mllp import Frame, Frames

WITHIN = 120.0  # on a busy machine eighty thousand answers take their time


class Sender:
    """One connection to a listener. Nothing is read until it is asked for."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._frames = Frames()
        self._found: list[bytes] = []

    @classmethod
    async def connect(cls, address: tuple[str, int], *, receive_buffer: int = 0, source: str = "") -> Sender:
        sock = socket.socket()
        if source:
            sock.bind((source, 0))
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await asyncio.get_running_loop().sock_connect(sock, address)
        except OSError:
            sock.close()
            raise
        return cls(sock)

    async def send(self, *pieces: bytes, pause: float = 0.0) -> None:
        """Each piece in a write of its own."""
        for piece in pieces:
            await asyncio.get_running_loop().sock_sendall(self._sock, piece)
            if pause:
                await asyncio.sleep(pause)

    async def answers(self, count: int) -> list[bytes]:
        """The next so many answers."""
        async with asyncio.timeout(WITHIN):
            while len(self._found) < count:
                data = await self._receive()
                assert data, f"connection closed after {len(self._found)} of {count} answers"
        taken, self._found = self._found[:count], self._found[count:]
        return taken

    async def until_closed(self) -> list[bytes]:
        """Every answer that still comes until the listener closes."""
        async with asyncio.timeout(WITHIN):
            while await self._receive():
                pass
        taken, self._found = self._found, []
        return taken

    async def _receive(self) -> bytes:
        data = await asyncio.get_running_loop().sock_recv(self._sock, 65536)
        for one in self._frames.feed(data):
            assert isinstance(one, Frame), one
            self._found.append(one.data)
        return data

    def stop_sending(self) -> None:
        """Half-close: no more comes from here, answers are still read."""
        self._sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Go without a word, as a machine whose cable is pulled and that comes back."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()

    def close(self) -> None:
        self._sock.close()


async def ask_over_tls(address: tuple[str, int], context: ssl.SSLContext, *pieces: bytes, answers: int) -> list[bytes]:
    """Send these over TLS and give back the answers."""
    reader, writer = await asyncio.open_connection(*address, ssl=context, server_hostname="127.0.0.1")
    frames, found = Frames(), list[bytes]()
    try:
        async with asyncio.timeout(WITHIN):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            while len(found) < answers:
                data = await reader.read(65536)
                if not data:
                    break
                found += [one.data for one in frames.feed(data)]
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    return found
