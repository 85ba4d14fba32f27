"""Clients and servers of all manners on one asyncio loop, for both ends of a chain of relays. Who behaves must get
every byte; of the others only their end is asked for, within its time."""
import asyncio
import contextlib
import random
import socket
import struct

PATIENCE_S = 60  # for one connection, on a machine that is busy
AT_ONCE = 150
SOURCES = [f"127.0.{n // 8}.{n % 8 + 2}" for n in range(64)]
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
NAME = "crowd.test"
# What a connection is for: the port it goes to, and how often.
MANNERS = {
    "echo": ("talker", 6), "give": ("talker", 4), "late": ("patient", 3), "named": ("named", 4),
    "leave": ("talker", 3), "vanish": ("talker", 3), "cut": ("talker", 3), "break_off": ("talker", 3),
    "server_resets": ("talker", 3), "both_leave": ("talker", 2), "hang": ("talker", 2), "forge": ("talker", 2),
    "half_a_head": ("named", 2), "half_a_hello": ("named", 2), "no_such_name": ("named", 2),
    "closed": ("closer", 3), "slammed": ("slammer", 3), "refused": ("refuser", 3),
}
STRICT = {"echo", "give", "late", "named"}


class BrokenPromise(Exception):
    """A client that behaves did not get what it should."""


def linger_nothing(writer):
    """What closes it now sends RST."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Servers:
    """talker: does what the first line asks for; closer and slammer: end at once; refuser: a port without a server."""

    async def __aenter__(self):
        self.open, self.ports = [], {}
        for name, serve in (("talker", self._talk), ("closer", self._close), ("slammer", self._slam)):
            server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
            self.open.append(server)
            self.ports[name] = server.sockets[0].getsockname()[1]
        self.reserved = socket.socket()
        self.reserved.bind(("127.0.0.1", 0))
        self.ports["refuser"] = self.reserved.getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.reserved.close()
        for server in self.open:
            server.close()

    async def _close(self, _, writer):
        writer.close()

    async def _slam(self, _, writer):
        linger_nothing(writer)

    async def _talk(self, reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.TimeoutError, ValueError):
            await asyncio.wait_for(self._answer(reader, writer), PATIENCE_S)
        writer.close()

    async def _answer(self, reader, writer):
        what, number = (await reader.readuntil(b"\n")).split()[:2]
        if what == b"GET":
            await reader.readuntil(b"\r\n\r\n")
            writer.write(RESPONSE)
        elif what == b"echo":
            writer.write(await reader.readexactly(int(number)))
        elif what == b"late":
            writer.write(await reader.read(-1))
        elif what == b"hang":
            await reader.read(-1)
        else:
            writer.write(bytes(int(number)))
            if what == b"reset":
                linger_nothing(writer)
        await writer.drain()


class Crowd:
    """Connections of random manners through `ports`; the same numbers always give the same crowd."""

    def __init__(self, ports, seed):
        self.ports, self.random = ports, random.Random(seed)
        self.done, self.broken = {manner: 0 for manner in MANNERS}, []

    async def come(self, count):
        gate = asyncio.Semaphore(AT_ONCE)
        weights = [weight for _, weight in MANNERS.values()]
        tasks = set()
        for manner in self.random.choices(list(MANNERS), weights, k=count):
            await gate.acquire()
            task = asyncio.create_task(self._one(manner, gate, random.Random(self.random.random())))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)

    async def _one(self, manner, gate, dice):
        writer = None
        try:
            address = ("127.0.0.1", self.ports[MANNERS[manner][0]])
            reader, writer = await asyncio.wait_for(
                asyncio.open_connection(*address, local_addr=(dice.choice(SOURCES), 0)), PATIENCE_S)
            await asyncio.wait_for(getattr(self, "_" + manner)(reader, writer, dice), PATIENCE_S)
        except asyncio.TimeoutError:
            self.broken.append(f"{manner}: no end")
        except (OSError, asyncio.IncompleteReadError, BrokenPromise) as error:
            if manner in STRICT:
                self.broken.append(f"{manner}: {error!r}")
        finally:
            self.done[manner] += 1
            if writer:
                writer.close()
            gate.release()

    @staticmethod
    async def _expect(reader, wanted):
        if (got := await reader.read(-1)) != wanted:
            raise BrokenPromise(f"{len(got)} bytes of {len(wanted)}")

    async def _echo(self, reader, writer, dice):
        data = dice.randbytes(dice.choice([1, 700, 30000, 150000]))
        writer.write(b"echo %d\n" % len(data) + data)
        await self._expect(reader, data)

    async def _give(self, reader, writer, dice):
        count = dice.choice([0, 5, 20000, 400000])
        writer.write(b"give %d\n" % count)
        await self._expect(reader, bytes(count))

    async def _late(self, reader, writer, dice):
        data = dice.randbytes(dice.choice([1, 5000, 100000]))
        writer.write(b"late 0\n" + data)
        writer.write_eof()
        await self._expect(reader, data)

    async def _named(self, reader, writer, dice):
        head = f"GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode()
        cut = dice.randrange(len(head))
        writer.write(head[:cut])
        await asyncio.sleep(dice.choice([0, 0.002]))
        writer.write(head[cut:])
        await self._expect(reader, RESPONSE)

    async def _leave(self, reader, writer, dice):
        await asyncio.sleep(dice.choice([0, 0, 0.001, 0.01]))

    async def _vanish(self, reader, writer, dice):
        await asyncio.sleep(dice.choice([0, 0, 0.001, 0.01]))
        linger_nothing(writer)

    async def _cut(self, reader, writer, dice):
        writer.write(b"give 600000\n")
        await reader.readexactly(dice.randrange(1, 50000))

    async def _break_off(self, reader, writer, dice):
        await self._cut(reader, writer, dice)
        linger_nothing(writer)

    async def _server_resets(self, reader, writer, dice):
        writer.write(b"reset %d\n" % dice.choice([0, 10, 100000]))
        await reader.read(-1)

    async def _both_leave(self, reader, writer, dice):
        writer.write(b"give 0\n")
        await asyncio.sleep(dice.uniform(0, 0.004))

    async def _hang(self, reader, writer, dice):
        writer.write(b"hang 0\n" + bytes(dice.choice([0, 3000])))
        await asyncio.sleep(dice.uniform(0, 0.05))

    async def _forge(self, reader, writer, dice):
        header = b"PROXY TCP4 203.0.113.1 203.0.113.2 1 2\r\n"
        writer.write(header[:dice.randrange(1, len(header) + 1)])
        await asyncio.sleep(dice.choice([0, 0.005]))

    async def _half_a_head(self, reader, writer, dice):
        writer.write(b"GET / HTTP/1.1\r\nHo")
        await asyncio.sleep(dice.choice([0, 0.005]))

    async def _half_a_hello(self, reader, writer, dice):
        writer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + dice.randbytes(20))
        if dice.random() < 0.5:
            writer.write_eof()
        await asyncio.sleep(dice.choice([0, 0.005]))

    async def _no_such_name(self, reader, writer, dice):
        writer.write(b"GET / HTTP/1.1\r\nHost: other.test\r\n\r\n")
        await reader.read(-1)

    async def _until_the_end(self, reader, writer, dice):
        if dice.random() < 0.5:
            writer.write(b"give 10\n")
        await reader.read(-1)

    _closed = _slammed = _refused = _until_the_end
