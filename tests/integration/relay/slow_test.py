"""Those who take their time, on either side, and a process that has no descriptors left: deadlines end what has one,
memory stays bounded, and who behaves is served meanwhile."""
import contextlib
import json
import os
import resource
import selectors
import socket
import sys
import threading
import time

from ends import Target, client
from relay_bench import WAIT_S, Bench, check_memory, main, need, relay_config, route, same, wait_until

AT_ONCE_S = 5  # what takes a millisecond, on a machine that is busy
NAME = "slow.test"
REQUEST = f"GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode()
PLAIN = {"address": "127.0.0.1", "port": 0}
PROXIED = {**PLAIN, "accept_proxy_protocol": "any", "trusted_proxies": ["127.0.0.0/8"]}


class Echo:
    """A target that gives back what it gets."""

    def __init__(self):
        self.target = Target(backlog=1024)
        self.port = self.target.port
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.target.socket, selectors.EVENT_READ)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.target.socket:
                    stream = self.target.socket.accept()[0]
                    self.selector.register(stream, selectors.EVENT_READ)
                    continue
                try:
                    data = key.fileobj.recv(65536)
                    key.fileobj.sendall(data)
                except OSError:
                    data = b""
                if not data:
                    self.selector.unregister(key.fileobj)
                    key.fileobj.close()


def served(port, data=REQUEST):
    """One who behaves gets an answer at once."""
    begun = time.monotonic()
    one = client(port, data=data)
    same(one.read(len(data)), data)
    one.close()
    took = time.monotonic() - begun
    assert took < AT_ONCE_S, f"served after {took:.1f} s"


class Slow:
    """Connections that say one byte a second, and when each was ended."""

    def __init__(self):
        self.begun, self.ended, self.speakers = time.monotonic(), {}, {}

    def add(self, stream, text):
        stream.setblocking(False)
        self.speakers[stream] = iter(text)

    def speak(self):
        for stream in [one for one in self.speakers if one not in self.ended]:
            with contextlib.suppress(OSError):
                stream.send(bytes([next(self.speakers[stream])]))

    def listen(self):
        for stream in [one for one in self.speakers if one not in self.ended]:
            try:
                stream.recv(100)  # an end, or what the other side says
            except BlockingIOError:
                continue
            except OSError:
                pass
            self.ended[stream] = time.monotonic() - self.begun

    def live(self, meanwhile):
        """Until all have ended; a second is ten looks long."""
        for turn in range(10 * WAIT_S):
            if turn % 10 == 0:
                self.speak()
                meanwhile()
            self.listen()
            if len(self.ended) == len(self.speakers):
                return
            time.sleep(0.1)
        raise AssertionError(f"{len(self.speakers) - len(self.ended)} of {len(self.speakers)} go on")


def test_clients_who_never_finish_what_they_say_are_ended_by_their_deadlines(bench):
    echo = Echo()
    timeouts = {"proxy_header_ms": 2500, "first_bytes_ms": 4500}
    routes = [route(echo.port, match={"domains": [NAME]})]
    relay = bench.relay(relay_config([PROXIED, PLAIN], routes, timeouts=timeouts), metrics=True)
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300)
    slow, parts = Slow(), {}
    for number in range(300):
        port, text = [(relay.ports[0], b"PROXY TCP6 2001:db8::1 2001:db8::2 51234 443"), (relay.ports[1], hello),
                      (relay.ports[1], b"GET /" + 300 * b"a")][number % 3]
        stream = client(port).stream
        parts[stream] = 4.5 if number % 3 else 2.5
        slow.add(stream, text)
    slow.live(lambda: served(relay.ports[1]))
    for stream, took in slow.ended.items():
        assert parts[stream] - 1 < took < parts[stream] + 10, f"ended after {took:.1f} s of {parts[stream]}"
    figures = relay.figures()
    same(figures['rejections_total{reason="proxy_header_timeout"}'], 100)
    same(figures['rejections_total{reason="first_bytes_timeout"}'], 200)
    wait_until(lambda: relay.figures()["connections_open"] == 0, "nobody is left")


def test_targets_who_never_finish_are_ended_with_the_connections_lifetime(bench):
    echo, target = Echo(), Target(backlog=256)
    routes = [route(target.port, match={"client_ip": ["127.0.0.9"]}), route(echo.port)]
    relay = bench.relay(relay_config([PLAIN], routes, timeouts={"lifetime_ms": 3500}), metrics=True)
    clients = [client(relay.port, "127.0.0.9", b"x") for _ in range(100)]
    slow = Slow()
    for _ in clients:
        accepted = target.accept()
        accepted.read(1)
        slow.add(accepted.stream, bytes(100))
    slow.live(lambda: served(relay.port))
    for one in clients:
        got, _ = one.read_to_end()
        assert 2 <= len(got) < 60, f"{len(got)} bytes at one a second"
    same(relay.figures()['ended_total{reason="lifetime_timeout"}'], 100)


def test_a_target_that_does_not_answer_is_passed_over_in_its_time(bench):
    echo, silent = Echo(), socket.create_server(("127.0.0.1", 0), backlog=0)
    fillers = []
    for _ in range(8):  # until its queue is full: then not even the handshake is answered
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(silent.getsockname())
        fillers.append(filler)
    both = route(silent.getsockname()[1], match={"client_ip": ["127.0.0.9"]}, name="both")
    both["action"]["targets"].append({"host": "127.0.0.1", "port": echo.port})
    relay = bench.relay(relay_config([PLAIN], [both, route(echo.port)], timeouts={"connect_ms": 1500}))
    before = relay.memory()
    clients = [client(relay.port, "127.0.0.9", b"hello") for _ in range(40)]
    for one in clients:
        one.stream.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            one.stream.send(bytes(1 << 20))  # what nobody takes yet
    for _ in range(5):
        served(relay.port)
    grown = relay.memory() - before
    check_memory(grown, len(clients) * (160 << 10) + (2 << 20))
    for one in clients:
        one.stream.settimeout(WAIT_S)
        same(one.read(5), b"hello")
    same(relay.event("target_changed")["health"], "down")
    for _ in range(20):
        begun = time.monotonic()
        same(client(relay.port, "127.0.0.9", b"hello").read(5), b"hello")
        if time.monotonic() - begun < 1:
            break  # it is left out now
    else:
        raise AssertionError("everybody waits for a target that is down")


def push(streams, meanwhile):
    """Sends to all of them until none takes anything for a second; what was taken."""
    taken, last = dict.fromkeys(streams, 0), time.monotonic()
    for stream in streams:
        stream.setblocking(False)
    block, deadline = bytes(1 << 16), time.monotonic() + WAIT_S
    while time.monotonic() < last + 1:
        assert time.monotonic() < deadline, f"there is no end to what is taken: {sum(taken.values())} bytes"
        for stream in streams:
            with contextlib.suppress(BlockingIOError):
                taken[stream] += stream.send(block)
                last = time.monotonic()
        if last < time.monotonic() - 0.05:
            meanwhile()
            time.sleep(0.05)
    return taken


def check_bounded(bench, who_pushes):
    """`who_pushes`: 0 for the clients of the pairs, 1 for the targets. Nobody reads on the other side."""
    echo, target = Echo(), Target()
    routes = [route(target.port, match={"client_ip": ["127.0.0.9"]}), route(echo.port)]
    relay = bench.relay(relay_config([PLAIN], routes, timeouts={"idle_ms": 4000}), metrics=True)
    served(relay.port, bytes(1 << 20))
    before, pairs = relay.memory(), []
    for _ in range(24):
        pairs.append((client(relay.port, "127.0.0.9", b"x"), target.accept()))
        pairs[-1][1].read(1)
    taken = push([pair[who_pushes].stream for pair in pairs], lambda: served(relay.port))
    assert min(taken.values()) >= 1 << 16, taken
    grown = relay.memory() - before
    print(f"figure: {sum(taken.values()) >> 20} MiB lie about, and of the relay's memory {grown >> 10} KiB", flush=True)
    check_memory(grown, len(pairs) * (160 << 10) + (2 << 20))
    served(relay.port, bytes(1 << 20))
    idle = 'ended_total{reason="idle_timeout"}'
    wait_until(lambda: relay.figures().get(idle) == len(pairs), "their idle time is over")
    served(relay.port)


def test_memory_is_bounded_where_targets_read_nothing(bench):
    check_bounded(bench, 0)


def test_memory_is_bounded_where_clients_read_nothing(bench):
    check_bounded(bench, 1)


class Waiting:
    """Clients who have said something of their own, and wait until it comes back."""

    def __init__(self, port, count):
        self.selector, self.words = selectors.DefaultSelector(), {}
        for number in range(count):
            word = b"%04d" % number
            stream = client(port, data=word).stream
            self.words[stream] = word
            self.selector.register(stream, selectors.EVENT_READ)

    def served(self, timeout):
        """Those who wait no more."""
        done = []
        for key, _ in self.selector.select(timeout):
            same(key.fileobj.recv(4), self.words.pop(key.fileobj))
            self.selector.unregister(key.fileobj)
            done.append(key.fileobj)
        return done


def test_without_descriptors_clients_wait_and_none_is_lost(bench):
    echo = Echo()
    named = route(echo.port, match={"client_ip": ["127.0.0.9"], "domains": [NAME]})
    relay = bench.relay(relay_config([PLAIN], [named, route(echo.port)], timeouts={"first_bytes_ms": 1000}))
    resource.prlimit(relay.pid, resource.RLIMIT_NOFILE, (relay.descriptors() + 40,) * 2)
    quiet = [client(relay.port, "127.0.0.9") for _ in range(12)]  # who have no target for a second, and then still can
    crowd = Waiting(relay.port, 300)
    inside, before, begun = [], relay.cpu_seconds(), time.monotonic()
    while time.monotonic() < begun + 3:
        inside += crowd.served(0.2)
    used = relay.cpu_seconds() - before
    assert used < 1, f"{used:.2f} s of the processor's time in 3 s of waiting"
    assert len(inside) < 30, f"{len(inside)} are served with 40 descriptors"
    for one in quiet:
        same(one.send(b"quiet").read(5), b"quiet")
        one.close()
    deadline = time.monotonic() + 2 * WAIT_S
    while crowd.words:
        assert time.monotonic() < deadline, f"{len(crowd.words)} of 300 wait in vain"
        for stream in inside:
            stream.close()
        inside = crowd.served(1)
    for stream in inside:
        stream.close()
    served(relay.port)
    same(relay.program.stop(), 0)
    told = [json.loads(line) for line in relay.program.rest("stdout")]
    same([one for one in told if one["type"] in ("connection_rejected", "target_changed")], [])


def descriptor_numbers(relay):
    return [int(number) for number in os.listdir(f"/proc/{relay.pid}/fd")]


def pipe_numbers(relay):
    found = []
    for number in descriptor_numbers(relay):
        with contextlib.suppress(FileNotFoundError):  # it has just ended
            if os.readlink(f"/proc/{relay.pid}/fd/{number}").startswith("pipe:"):
                found.append(number)
    return found


def lowest_free_number(relay):
    taken = set(descriptor_numbers(relay))
    return next(number for number in range(1 << 20) if number not in taken)


def test_pipes_that_are_kept_for_later_keep_no_client_out(bench):
    echo, target = Echo(), Target()
    bulk = route(target.port, match={"client_ip": ["127.0.0.9"]}, name="bulk")
    relay = bench.relay(relay_config([PLAIN], [bulk, route(echo.port)]))
    few, pairs = set(pipe_numbers(relay)), []
    for _ in range(12):
        pairs.append((client(relay.port, "127.0.0.9"), target.accept()))
    taken = push([near.stream for near, _ in pairs], lambda: None)  # what lies about is in pipes
    for near, far in pairs:
        far.read(taken[near.stream])
        near.close()
        same(relay.event("connection_closed", route="bulk")["bytes_in"], taken[near.stream])
        far.close()
    served(relay.port)  # a turn later
    pipes, fillers = pipe_numbers(relay), []
    assert len(set(pipes) - few) >= 12, f"{pipes} after {few}: there was nothing to keep"
    while lowest_free_number(relay) < max(pipes):
        fillers.append(client(relay.port, data=b"x"))
        fillers[-1].read(1)
        assert len(fillers) < 200
    resource.prlimit(relay.pid, resource.RLIMIT_NOFILE, (lowest_free_number(relay),) * 2)
    for _ in range(3):
        served(relay.port)
    assert not set(pipes) <= set(pipe_numbers(relay)), "there was room without them"


if __name__ == "__main__":
    need("curl")
    main("relay_slow", sys.modules[__name__], Bench)
