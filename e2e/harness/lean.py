"""HTTP/1.1 for asyncio with little work of its own, for senders whose times are measured or who must keep up a load."""

import asyncio

from . import otlp

# In place of a status: the connection ended without one; none came within PATIENCE seconds.
CLOSED, UNANSWERED = 0, -1
PATIENCE = 60
_PATH = otlp.SIGNALS["logs"].path


def request(body: bytes, gzip: bool = False) -> bytes:
    """A whole request with this body, which is compressed already if `gzip` says so."""
    encoding = "Content-Encoding: gzip\r\n" if gzip else ""
    return (f"POST {_PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-protobuf\r\n{encoding}"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


class Connection:
    """One connection from a loopback address; made again when it was ended."""

    def __init__(self, port: int, source: str):
        self._port, self._source = port, source
        self._streams = None

    async def post(self, request: bytes) -> tuple[int, float | None]:
        """The status, or CLOSED or UNANSWERED, and the seconds after which to come back if it says so."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._answer(request)
        except TimeoutError:
            self.close()
            return UNANSWERED, None
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            return CLOSED, None

    async def _answer(self, request: bytes) -> tuple[int, float | None]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, local_addr=(self._source, 0))
        reader, writer = self._streams
        writer.write(request)
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines if line)
        await reader.readexactly(int(headers["content-length"]))
        if headers.get("connection") == "close":
            self.close()
        after = headers.get("retry-after")
        return int(first.split()[1]), float(after) if after else None

    def close(self) -> None:
        if self._streams:
            self._streams[1].close()
        self._streams = None
