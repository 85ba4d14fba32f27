#!/usr/bin/env python3
"""The relay beside HAProxy and nginx stream, one thread each, on loopback in turns; prints medians.

  relay_bench.py BUILD [--rounds N] [--seconds S]
Nothing passes or fails. New connections a second (each with a byte there and back), one stream's throughput, the time
of a byte there and back, and what an idle connection costs in memory; passed through, with PROXY v2 out, with PROXY v2 in
and out (behind a relay of ours as sender), and with TLS that ends at the proxy. CPU is the proxy's own. Ratios are to
HAProxy within a round.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

TICK = os.sysconf("SC_CLK_TCK")
FIRST_PORT = 17300
IDLE = 2000


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def rss_kib(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


class Bench:
    def __init__(self, build, folder):
        self.folder = pathlib.Path(folder)
        self.command = build / "apps/smartvpn/smartvpn"
        self.load = build / "tests/bench/relay_load"
        self.started, self.port = [], FIRST_PORT
        self.key, self.certificate = self.folder / "key.pem", self.folder / "cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", self.key, "-out", self.certificate, "-subj", "/CN=bench.test", "-addext",
                        "subjectAltName=DNS:bench.test", "-days", "2"], check=True, stderr=subprocess.DEVNULL)
        (self.folder / "both.pem").write_text(self.certificate.read_text() + self.key.read_text())

    def next_port(self):
        self.port += 1
        return self.port

    def start(self, command):
        process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL,
                                   stderr=open(self.folder / "errors", "a"))
        self.started.append(process)
        return process

    def stop(self):
        for process in self.started:
            process.kill()
        for process in self.started:
            process.wait()

    def run(self, *arguments):
        done = subprocess.run([self.load, *map(str, arguments)], stdout=subprocess.PIPE, timeout=120)
        return done.stdout.decode().split() if done.returncode == 0 else None


def relay(bench, port, target, kind):
    listen = {"address": "127.0.0.1", "port": port}
    action = {"targets": [{"host": "127.0.0.1", "port": target}]}
    if kind == "proxy in":
        listen |= {"accept_proxy_protocol": "v2", "trusted_proxies": ["127.0.0.1"]}
    if kind.startswith("proxy"):
        action["send_proxy_protocol"] = "v2"
    if kind == "tls":
        action["tls"] = {"mode": "terminate",
                         "certificates": [{"certificate": str(bench.certificate), "key": str(bench.key)}]}
    file = bench.folder / f"relay-{port}.json"
    file.write_text(json.dumps({
        "listen": [listen], "routes": [{"action": action}],
        "limits": {"connections_per_ip": 0, "new_connections_per_ip_per_minute": 0}}))
    return bench.start([bench.command, "relay", "--config", file]).pid


def haproxy(bench, port, target, kind):
    bind = {"proxy in": " accept-proxy", "tls": f" ssl crt {bench.folder}/both.pem"}.get(kind, "")
    send = " send-proxy-v2" if kind.startswith("proxy") else ""
    file = bench.folder / f"haproxy-{port}.cfg"
    file.write_text(f"""global
    nbthread 1
    maxconn 8000
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
listen it
    bind 127.0.0.1:{port}{bind}
    server s 127.0.0.1:{target}{send}
""")
    return bench.start(["haproxy", "-db", "-f", file]).pid


def nginx(bench, port, target, kind):
    modules = list(pathlib.Path("/usr/lib/nginx/modules").glob("ngx_stream_module.so"))
    if not modules or (kind.startswith("proxy")):
        return None  # it writes headers of version 1 only
    tls = f"ssl_certificate {bench.certificate}; ssl_certificate_key {bench.key};" if kind == "tls" else ""
    file = bench.folder / f"nginx-{port}.conf"
    file.write_text(f"""load_module {modules[0]};
daemon off; master_process off; worker_processes 1; pid {bench.folder}/nginx-{port}.pid; error_log /dev/null;
worker_rlimit_nofile 20000;
events {{ worker_connections 16000; }}
stream {{ server {{ listen 127.0.0.1:{port} {'ssl' if tls else ''}; {tls} proxy_pass 127.0.0.1:{target}; }} }}
""")
    return bench.start(["nginx", "-c", file, "-e", "/dev/null", "-p", bench.folder]).pid


PROXIES = {"relay": relay, "haproxy": haproxy, "nginx": nginx}
KINDS = ("plain", "proxy out", "proxy in", "tls")
UNITS = dict(rate="1/s", cpu="us", mbit="Mbit/s", p50="us", p99="us", memory="bytes")


def put(kind, what, name, values):
    values = [value for value in values if value is not None]
    if values:
        print(f"{kind.replace(' ', '_')}/{what}/{name}\t{statistics.median(values)}\t{UNITS.get(what, 'x')}", flush=True)


def measure(bench, ends, kind, rounds, seconds):
    """{name: {figure: [values]}}; the proxies take turns."""
    rows = {name: {"rate": [], "cpu": [], "mbit": [], "p50": [], "p99": []} for name in ends}
    tls = ["tls"] if kind == "tls" else []
    for _ in range(rounds):
        for name, (port, pid) in ends.items():
            row, before = rows[name], cpu_seconds(pid) if pid else 0
            got = bench.run("rate", port, 8, seconds, *tls)
            row["rate"].append(float(got[0]) if got else None)
            if got and pid:
                row["cpu"].append((cpu_seconds(pid) - before) / (float(got[0]) * seconds) * 1e6)
            got = bench.run("stream", port, seconds, *tls)
            row["mbit"].append(float(got[0]) if got else None)
            if not tls:
                got = bench.run("latency", port, 5000)
                row["p50"].append(float(got[0]) if got else None)
                row["p99"].append(float(got[1]) if got else None)
    return rows


def idle_memory(bench, pid, port):
    """Bytes of the proxy's memory for each of many connections that say nothing."""
    before = rss_kib(pid)
    holder = subprocess.Popen([bench.load, "idle", str(port), str(IDLE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        if not holder.stdout.readline():
            return None
        time.sleep(0.5)
        return (rss_kib(pid) - before) * 1024 / IDLE
    finally:
        holder.stdin.close()
        holder.wait(timeout=60)


def tell(kind, rows):
    for name, row in rows.items():
        for what, values in row.items():
            put(kind, what, name, values)
            theirs = rows.get("haproxy", {}).get(what, [])
            if name not in ("haproxy", "direct"):
                put(kind, f"{what}_ratio", name, [a / b for a, b in zip(values, theirs) if a and b])


def bench_kind(bench, kind, target, rounds, seconds):
    ends = {"direct": (target, None)} if kind == "plain" else {}
    for name, start in PROXIES.items():
        if name != "relay" and not shutil.which(name):
            continue
        port = bench.next_port()
        pid = start(bench, port, target, kind)
        if pid is None:
            continue
        if kind == "proxy in":  # somebody has to send the header
            front = bench.next_port()
            relay(bench, front, port, "proxy out")
            ends[name] = (front, pid)
        else:
            ends[name] = (port, pid)
    time.sleep(1)
    rows = measure(bench, ends, kind, rounds, seconds)
    if kind == "plain":
        for name, (port, pid) in ends.items():
            if pid:
                rows[name]["memory"] = [idle_memory(bench, pid, port)]
    tell(f"relay/{kind}", rows)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options.build.resolve(), folder)
        try:
            target = bench.next_port()
            bench.start([bench.load, "serve", target])
            time.sleep(0.3)
            for kind in KINDS:
                bench_kind(bench, kind, target, options.rounds, options.seconds)
        finally:
            bench.stop()


if __name__ == "__main__":
    sys.exit(main())
