"""A relay in front of the backend that makes the faults of a network: cut, down, frozen, answers lost, TLS that expires."""

import asyncio
import contextlib
import ssl
import threading

from harness import ports


class Gate:
    """Passes bytes from a port of its own to `target`, out of TLS if there is a context."""

    def __init__(self, target: int, tls: ssl.SSLContext | None = None):
        self.target = target
        self.tls = tls
        self.port = ports.free()
        self.connections = 0
        self._open: set[asyncio.Task] = set()
        self._loses_answers = False
        self._loop = asyncio.new_event_loop()

    def __enter__(self) -> "Gate":
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._flows = self._do(_event())
        self.restore()
        return self

    def __exit__(self, *_) -> None:
        self.down()
        self._loop.call_soon_threadsafe(self._loop.stop)

    def reset(self) -> None:
        """Cuts what is open."""
        self._do(self._cut())

    def down(self) -> None:
        """Nothing listens, and what is open is cut."""
        self._do(self._close())

    async def _close(self) -> None:
        # in the loop's own thread: beside it, a connection that ends at this moment would be counted twice
        self._server.close()
        await self._cut()

    def restore(self) -> None:
        self._server = self._do(asyncio.start_server(self._accept, "127.0.0.1", self.port, ssl=self.tls, limit=1 << 16))

    def freeze(self) -> None:
        """Connections stay, and nothing passes."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def thaw(self) -> None:
        self._loop.call_soon_threadsafe(self._flows.set)

    def lose_answers(self, lost: bool) -> None:
        """Requests pass; the first answer cuts the connection instead of passing."""
        self._loses_answers = lost

    def _do(self, what):
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(20)

    async def _cut(self) -> None:
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(asyncio.current_task())
        self.connections += 1
        ends = [writer]
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
            ends.append(back)
            passing = {asyncio.ensure_future(self._pass(reader, back, False)),
                       asyncio.ensure_future(self._pass(there, writer, True))}
            try:
                await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in passing:
                    one.cancel()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(asyncio.current_task())
            for end in ends:
                with contextlib.suppress(Exception):
                    end.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: bool) -> None:
        with contextlib.suppress(OSError):
            passed = 0
            while data := await reader.read(1 << 16):
                await self._flows.wait()
                # Over HTTP/2 the first frames of a server are its settings.
                if answers and self._loses_answers and (passed > 0 or not self.tls):
                    await asyncio.sleep(0.05)
                    return
                passed += len(data)
                writer.write(data)
                await writer.drain()


async def _event() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event
