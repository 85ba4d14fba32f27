"""Runs the benchmark programs and collects their lines; scripts/bench.sh is how it is called.

    bench.py BUILD_FOLDER primitives|server|memory|tunnel|wireguard|relay|counts|bindings...   to standard output
    bench.py BUILD_FOLDER --write docs/PERFORMANCE.md                           all of them, as a document
    bench.py BUILD_FOLDER --renew docs/PERFORMANCE.md                           its section "Relay" alone
    bench.py ... --continue FILE     what a run that was broken off has printed: its whole parts are not measured again
    bench.py BUILD_FOLDER --smoke                                               the programs without a network, for a moment

Figures of one run belong together; those of two runs do not.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys

import report

HERE = os.path.dirname(os.path.abspath(__file__))
PARTS = ("primitives", "server", "memory", "tunnel", "wireguard", "relay", "counts", "bindings")
# How a figure begins that each part makes last, or with others at once: where it is, the part is whole.
SIGN_OF = dict(primitives="openssl_speed/65536", server="end_to_end/tls/cpu", memory="idle_session/tls",
               tunnel="cut_ratio/", wireguard="crowd/", relay="relay/tls/", counts="counts/", bindings="bindings/")
RIVALS = os.environ.get("BENCH_RIVALS", "build/rivals")  # of scripts/rivals.sh
PRIORITY = os.environ.get("BENCH_PRIORITY", "nice -n -10").split() if os.geteuid() == 0 else []


class Figures(dict):
    """name: (value, unit), in the order in which they were made, each printed at once."""

    def put(self, name, value, unit):
        self[name] = (float(value), unit)
        print(f"{name:<58} {float(value):>12.5g} {unit}", flush=True)

    def take(self, output):
        for line in output.splitlines():
            self.put(*line.split("\t"))

    def take_up(self, lines):
        for line in lines:
            name, value, unit = line.split(None, 2)
            self[name] = (float(value), unit.strip())

    def take_medians(self, outputs):
        runs = [dict((name, (float(value), unit)) for name, value, unit in (line.split("\t") for line in out.splitlines()))
                for out in outputs]
        for name, (_, unit) in runs[0].items():
            self.put(name, statistics.median(r[name][0] for r in runs), unit)


def output_of(command, timeout, env=None):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=timeout, env=env)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}")
    return done.stdout


def primitives(tools, figures, quick=False):
    options = ["--benchmark_min_time=0.001"] if quick else [
        "--benchmark_min_time=0.1", "--benchmark_repetitions=7", "--benchmark_report_aggregates_only=true"]
    text = output_of(PRIORITY + [tools.program("bench_primitives"), "--benchmark_format=json", *options], 300)
    for run in json.loads(text)["benchmarks"]:
        if not quick and run["aggregate_name"] != "median":
            continue
        name = run["name"].removesuffix("_median")
        per = run["cpu_time"]
        if "items_per_second" in run:
            per = 1e9 / run["items_per_second"]
            figures.put(f"{name}/rate", run["bytes_per_second"] * 8 / 1e9, "Gbit/s")
        figures.put(name, per, "ns")
        if "per_second" in run:
            figures.put(f"{name}/per_second", run["per_second"], "1/s")
    if quick:
        return
    for size in (1420, 65536):
        text = output_of(PRIORITY + ["openssl", "speed", "-mr", "-seconds", "1", "-bytes", str(size), "-evp",
                                     "chacha20-poly1305"], 60)
        rate = float([line for line in text.splitlines() if line.startswith("+F")][0].split(":")[-1])
        figures.put(f"openssl_speed/{size}", size / rate * 1e9, "ns")
    if shutil.which("go") and os.path.isdir("/usr/share/gocode/src/github.com/pires/go-proxyproto"):
        program = tools.path("proxy_headers_go")
        env = dict(os.environ, GO111MODULE="off", GOPATH="/usr/share/gocode", GOFLAGS="")
        output_of(["go", "build", "-o", program, os.path.join(HERE, "proxy_headers.go")], 120, env)
        figures.take_medians([output_of(PRIORITY + [program, "-test.benchtime=200ms"], 60) for _ in range(3)])


def server(tools, figures):
    program = tools.program("bench_server")
    for kind in ([], ["tls"]):
        figures.take_medians([output_of(PRIORITY + [program, "handshakes", "4", *kind], 120) for _ in range(3)])


def memory(tools, figures):
    for kind in ([], ["tls"]):
        figures.take(output_of(PRIORITY + [tools.program("bench_server"), "memory", "10000", *kind], 300))


def network(figures, timeout, program, *arguments):
    figures.take(output_of([sys.executable, "-B", os.path.join(HERE, program), *arguments], timeout))


def tunnel(tools, figures):
    upstream = os.path.join(RIVALS, "wireguard-go")
    network(figures, 600, "tunnel_bench.py", "tunnel", tools.command,
            *(["--upstream", upstream] if os.access(upstream, os.X_OK) else []))


def wireguard(tools, figures):
    network(figures, 3600, "wireguard_bench.py", tools.command, "--rivals", RIVALS,
            "--peer", tools.program("wireguard_peer"), "--aead", "openssl", "--aead", "automatic")
    network(figures, 900, "wireguard_crowd.py", tools.command, "--rivals", RIVALS)


def relay(tools, figures):
    command = [sys.executable, "-B", os.path.join(HERE, "relay_bench.py"), tools.build]
    figures.take(output_of(PRIORITY + command, 1800))


def counts(tools, figures):
    network(figures, 600, "tunnel_bench.py", "counts", tools.command,
            "--count-library", tools.program("libbench_count.so"))


def bindings(tools, figures, *options):
    command = [sys.executable, "-B", os.path.join(HERE, "bindings", "run.py"), tools.build, *options]
    figures.take(output_of(PRIORITY + command, 1800))


class Tools:
    def __init__(self, build):
        self.build = os.path.abspath(build)
        self.command = os.path.join(self.build, "apps", "smartvpn", "smartvpn")

    def path(self, name):
        return os.path.join(self.build, "tests", "bench", name)

    def program(self, name):
        return self.path(name)


def smoke(tools):
    """Every program begins, measures something and ends well."""
    figures = Figures()
    primitives(tools, figures, quick=True)
    for kind in ([], ["tls"]):
        figures.take(output_of([tools.program("bench_server"), "handshakes", "0.3", *kind], 60))
    figures.take(output_of([tools.program("bench_server"), "memory", "20"], 60))
    bindings(tools, figures, "--languages", "c", "--quick")
    wanted = ("bindings/drain/64/64/c", "bindings/sessions/c", "ik_responder/prepared", "seal/1420/64", "aead_seal/openssl/1424", "proxy_header/v2_tlvs", "end_to_end/plain/cpu",
              "end_to_end/tls/cpu", "idle_session/plain/resident")
    missing = [name for name in wanted if not name in figures]
    if missing:
        sys.exit(f"no figure for {missing}")
    report.document(figures, {"date": "-", "machine": "-", "versions": "-"})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("parts", nargs="*", metavar="|".join(PARTS))
    parser.add_argument("--write")
    parser.add_argument("--renew")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--continue", dest="done", help="the output of a run that was broken off")
    options = parser.parse_args()
    if not set(options.parts) <= set(PARTS):
        parser.error(f"there are {', '.join(PARTS)}")
    tools, figures = Tools(options.build), Figures()
    if options.smoke:
        return smoke(tools)
    if options.done:
        with open(options.done, encoding="utf-8") as file:
            figures.take_up(file)
    for part in options.parts or (["relay"] if options.renew else PARTS):
        if not any(name.startswith(SIGN_OF[part]) for name in figures):
            globals()[part](tools, figures)
    if options.renew:
        with open(options.renew, encoding="utf-8") as file:
            text = file.read()
        with open(options.renew, "w", encoding="utf-8") as file:
            file.write(report.relay.renewed(text, report.Writer(figures), report.facts(tools)))
    if options.write:
        text = report.document(figures, report.facts(tools))
        with open(options.write, "w", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    main()
