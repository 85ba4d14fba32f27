"""What a server's program costs in Python and in Go beside the same program in C; scripts/bench.sh bindings calls it.

    run.py BUILD_FOLDER [--languages c,python,go] [--rounds 5] [--quick]      no --languages: those that are there

Each language has a program that does the same jobs (host.c says which), on a processor of its own beside the clients
that load it (traffic.c). The languages take turns, round by round, and a ratio is one within a round; what is printed
are medians, a line each: name<TAB>value<TAB>unit. Rates are per second of the program's processor time, its server's
included, so that what else runs on the machine matters less.
"""
import argparse
import contextlib
import glob
import itertools
import json
import os
import selectors
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TUNNELS = 2
BATCHES = (1, 16, 64, 256)
SIZES = (64, 1400)
# Packets a millisecond that are to be echoed: what clients and carrier can take back, as what is dropped costs less.
PACES = {64: 256, 1400: 64}
SESSIONS = 10000  # at once
CHANGES = 4000  # in a transaction: a subscription holds 4096 events unless told otherwise
RING = 4 << 20  # bytes of waiting packets each way, with 16 of each one's own
PATIENCE = 180  # seconds; no step takes so long


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}:\n{done.stdout}")
    return done.stdout


class Program:
    """A process that is told lines and answers with lines; ended with its block."""

    def __init__(self, command, cpu):
        pinned = ["taskset", "-c", str(cpu)] if cpu is not None else []
        self.process = subprocess.Popen(pinned + command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.rest = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def hear(self):
        with selectors.DefaultSelector() as ready:
            ready.register(self.process.stdout, selectors.EVENT_READ)
            while b"\n" not in self.rest:
                if not ready.select(PATIENCE):
                    sys.exit(f"{self.process.args} says nothing")
                some = os.read(self.process.stdout.fileno(), 65536)
                if not some:
                    sys.exit(f"{self.process.args} ended with {self.process.wait()}")
                self.rest += some
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode()

    def tell(self, *words):
        self.process.stdin.write((" ".join(map(str, words)) + "\n").encode())
        self.process.stdin.flush()

    def expect(self, wanted):
        line = self.hear()
        if not line.startswith(wanted):
            sys.exit(f"{self.process.args} said {line!r} for {wanted!r}")
        return line[len(wanted):].strip()

    def do(self, answer, *words):
        self.tell(*words)
        self.expect(answer)

    def job(self, *words):
        """(count, seconds, seconds of the processor, sum)"""
        self.tell(*words)
        count, seconds, cpu, total = self.hear().split()
        return int(count), float(seconds), float(cpu), int(total)


class Bench:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.build = os.path.abspath(options.build)
        self.programs = os.path.join(self.build, "tests", "bench")
        cpus = sorted(os.sched_getaffinity(0))
        self.cpus = (cpus[0], cpus[-1]) if len(cpus) > 1 else (None, None)

    def program(self, name):
        return os.path.join(self.programs, "bindings", name)

    def command(self, language):
        return {"c": [self.program("bench_host")],
                "python": ["/usr/bin/python3", "-B", os.path.join(HERE, "host.py")],
                "go": [os.path.join(self.folder, "host_go")]}[language]

    def prepare(self, language):
        """What a language's program needs besides its command: Go's is built, against the tree as it is installed."""
        if language == "python":
            os.environ["PYTHONPATH"] = os.path.join(self.build, "bindings", "python")
        if language == "go":
            prefix = os.path.join(self.folder, "prefix")
            run("cmake", "--install", self.build, "--component", "library", "--prefix", prefix)
            library, = glob.glob(os.path.join(prefix, "lib*", "**", "pkgconfig"), recursive=True)
            libraries = os.path.dirname(library)
            # The flag once more, because Go's cache knows flags and not what pkg-config said: it would link to the
            # prefix of an earlier run.
            os.environ.update(PKG_CONFIG_PATH=library, LD_LIBRARY_PATH=libraries, CGO_LDFLAGS=f"-O2 -g -L{libraries}",
                              GOWORK="off")
            run("go", "build", "-C", os.path.join(HERE, "go"), "-o", os.path.join(self.folder, "host_go"), ".")

    def write(self, name, value):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="ascii") as file:
            json.dump(value, file)
        return path

    def keys(self, count):
        return [line.split() for line in run(self.program("bench_traffic"), "keys", str(count)).splitlines()]

    def server_config(self, key, public_keys, first_address):
        clients = [{"id": f"c{i}", "noise_public_key": public} for i, public in enumerate(public_keys)]
        for i, client in enumerate(clients if first_address else []):
            client["addresses"] = [f"10.8.1.{i + 1}"]
        return self.write("server.json", {
            "listen": [{"transport": "websocket", "address": "127.0.0.1", "port": 0}],
            "keys": {"noise_private_key": key}, "network": {"subnets": ["10.8.0.0/16"]},
            "forwarding": {"mode": "host"}, "clients": clients,
            "security": {"max_connections_per_ip": 1000000, "new_connections_per_ip_per_minute": 1000000}})

    @contextlib.contextmanager
    def host_and_traffic(self, language):
        server, *clients = self.keys(1 + TUNNELS)
        config = self.server_config(server[0], [public for _, public in clients], True)
        with Program(self.command(language) + [config, str(TUNNELS)], self.cpus[0]) as host:
            address = host.expect("ready ")
            paths = [self.write(f"tunnel{i}.json", {
                "server": f"ws://{address}/tunnel", "forwarding": {"mode": "host"},
                "keys": {"noise_private_key": private, "server_public_key": server[1]}})
                for i, (private, _) in enumerate(clients)]
            with Program([self.program("bench_traffic"), "run", *paths], self.cpus[1]) as traffic:
                traffic.expect("ready")
                yield host, traffic

    def figure(self, figures, name, result, wanted_sum):
        count, seconds, cpu, total = result
        if count == 0 or total != wanted_sum(count):
            sys.exit(f"{name}: {result} is not what was to do")
        figures[name] = count / cpu
        figures[f"{name}/clock"] = count / seconds

    def packets(self, figures, language, sizes, batches, milliseconds):
        with self.host_and_traffic(language) as (host, traffic):
            def loaded(size, job, *words, pace=0):
                traffic.tell("go", size, pace)
                result = job(*words)
                traffic.tell("stop")
                traffic.expect("stopped")
                return result

            for size, batch in itertools.product(sizes, batches):
                def read(count, size=size):
                    return count * (size + 0x45)

                def written(count, size=size):
                    return count * size

                at = f"{size}/{batch}/{language}"
                full = RING * 3 // 4 // (size + 16)
                loaded(size, host.do, "full", "fill", full)
                time.sleep(0.05)  # what is on its way arrives
                self.figure(figures, f"drain/{at}", host.job("drain", batch, full), read)
                host.do("clear", "clear")
                self.figure(figures, f"read/{at}", loaded(size, host.job, "read", batch, milliseconds), read)
                host.do("clear", "clear")
                echoed = loaded(size, host.job, "echo", batch, milliseconds, pace=PACES[size])
                self.figure(figures, f"echo/{at}", echoed, read)
                host.do("clear", "clear")
                self.figure(figures, f"write/{at}", host.job("write", size, batch, milliseconds), written)
                host.do("clear", "clear")
                self.figure(figures, f"burst/{at}", host.job("burst", size, batch, full // 2), written)

    def events(self, figures, language, count):
        with self.host_and_traffic(language) as (host, _):
            host.do("created", "clients", count)
            names = sum(len(f"client-{i}") for i in range(count))
            read = host.job("events", count)
            self.figure(figures, f"events/{language}", read, lambda n: names if n == count else -1)

    def sessions(self, figures, language, count, times):
        (private, public), = self.keys(1)
        swarm = os.path.join(self.programs, "bench_server")
        keys = run(swarm, "keys", str(count)).split()
        config = self.server_config(private, keys, False)
        with Program(self.command(language) + [config, "0"], self.cpus[0]) as host:
            port = host.expect("ready ").rsplit(":", 1)[1]
            with Program([swarm, "swarm", port, public, str(count), "plain", "stay"], self.cpus[1]):
                seconds = []
                for _ in range(times):
                    seen, _, cpu, _ = host.job("sessions", count)
                    if seen != count:
                        sys.exit(f"sessions/{language}: {seen} of {count}")
                    seconds.append(cpu)
        figures[f"sessions/{language}"] = 1 / statistics.median(seconds)


def there(build):
    extension = glob.glob(os.path.join(build, "bindings", "python", "smartvpn", "_native*.so"))
    return ["c"] + ["python"] * bool(extension) + ["go"] * bool(shutil.which("go"))


def medians(rounds):
    for name in rounds[-1]:
        values = [r[name] for r in rounds if name in r]
        print(f"bindings/{name}\t{statistics.median(values):.6g}\t1/s")
        *place, language = name.split("/")
        c = "/".join([*place, "c"])
        if language in ("python", "go") and c in rounds[-1]:
            ratios = [r[name] / r[c] for r in rounds if name in r]
            print(f"bindings_ratio/{name}\t{statistics.median(ratios):.6g}\tx")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--languages")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one short round: whether all of it works")
    options = parser.parse_args()
    languages = options.languages.split(",") if options.languages else there(options.build)
    with tempfile.TemporaryDirectory() as folder:
        bench, rounds = Bench(options, folder), []
        for language in languages:
            bench.prepare(language)
        for number in range(1 if options.quick else options.rounds):
            figures = {}
            for language in languages:
                if options.quick:
                    bench.packets(figures, language, (64,), (64,), 50)
                    bench.events(figures, language, 200)
                    bench.sessions(figures, language, 20, 1)
                    continue
                bench.packets(figures, language, SIZES, BATCHES, 300)
                bench.events(figures, language, CHANGES)
                if number == options.rounds - 1:
                    bench.sessions(figures, language, SESSIONS, 7)
            rounds.append(figures)
    medians(rounds)


if __name__ == "__main__":
    main()
