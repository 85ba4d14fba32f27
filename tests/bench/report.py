"""docs/PERFORMANCE.md from the figures of one run. What was not measured is shown as a dash."""
import datetime
import os
import platform
import re
import subprocess

import relay_report as relay
import wireguard_report as wireguard
from bindings import table as bindings

ROADS = (("plain veth", "veth"), ("smartvpn, `ws`", "smartvpn_ws"), ("smartvpn, `wss`", "smartvpn_wss"),
         ("wireguard-go, Debian's", "wireguard_go_debian"), ("wireguard-go, upstream", "wireguard_go_upstream"))


def facts(tools):
    """What the figures belong to."""
    def first_line(*command):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
            return (done.stdout + done.stderr).strip().splitlines()[0]
        except (OSError, IndexError, subprocess.TimeoutExpired):
            return "not there"

    with open("/proc/cpuinfo", encoding="ascii") as info:
        cpu = re.search(r"model name\s*: (.*)", info.read())
    packages = {"wireguard-go": "wireguard-go", "go-proxyproto": "golang-github-pires-go-proxyproto-dev",
                "libsodium": "libsodium23", "libuv": "libuv1",
                "HAProxy": "haproxy", "nginx": "nginx"}
    versions = [first_line("openssl", "version"), first_line("iperf3", "--version"), first_line("go", "version")]
    versions += [f"{name} {first_line('dpkg-query', '-Wf', '${Version}', package)}" for name, package in packages.items()]
    versions += wireguard.rivals()
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "machine": f"{cpu.group(1) if cpu else platform.machine()}, {os.cpu_count()} processors, Linux "
                   f"{platform.release()}, load {os.getloadavg()[0]:.1f} at the end",
        "measured with": os.environ.get("BENCH_PRIORITY", "nice -n -10") + ", so that what else runs matters less",
        "versions": "; ".join(versions),
        "commit": first_line("git", "-C", os.path.dirname(os.path.abspath(__file__)), "describe", "--always", "--dirty"),
    }


def number(value):
    if 0 < value < 0.0001:
        return "< 0.0001"
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


class Writer:
    def __init__(self, figures):
        self.figures, self.lines = figures, []

    def say(self, text=""):
        self.lines.append(text)

    def value(self, name):
        return self.figures[name][0] if name in self.figures else None

    def cell(self, name, scale=1.0, suffix=""):
        value = self.value(name)
        return "–" if value is None else number(value * scale) + suffix

    def ratio(self, above, below, suffix=" x"):
        a, b = self.value(above), self.value(below)
        return "–" if a is None or not b else number(a / b) + suffix

    def table(self, head, rows):
        self.say("| " + " | ".join(head) + " |")
        self.say("| --- |" + " ---: |" * (len(head) - 1))
        for row in rows:
            self.say("| " + " | ".join(row) + " |")
        self.say()


def goals(w):
    def row(what, goal, is_now, met):
        w_met = "–" if met is None else "yes" if met else "**no**"
        return [what, goal, is_now, w_met]

    def at_least(name, bound):
        value = w.value(name)
        return None if value is None else value >= bound

    def at_most(name, bound):
        value = w.value(name)
        return None if value is None else value <= bound

    acl = [w.value(f"acl_look_up/{n}") for n in (1, 1000, 100000)]
    spread = max(acl) / min(acl) if all(acl) else None
    ratios = [w.value(f"throughput_ratio/smartvpn_ws/{mode}") for mode in ("1_up", "1_down", "4_up", "4_down")]
    worst = min(ratios) if all(ratios) else None
    ours, theirs = w.value("throughput_cpu/smartvpn_ws"), w.value("throughput_cpu/wireguard_go_debian")
    rows = [
        row("Noise IK responder alone, a core", "5,000/s", w.cell("ik_responder/prepared/per_second", 1, "/s"),
            at_least("ik_responder/prepared/per_second", 5000)),
        row("handshakes end to end over `ws`, a second of the server's core", "3,000/s",
            w.cell("end_to_end/plain/per_core_second", 1, "/s"), at_least("end_to_end/plain/per_core_second", 3000)),
        row("access list of 1, 1,000, 100,000 entries: slowest to fastest look-up", "2 x",
            "–" if spread is None else f"{spread:.2f} x", None if spread is None else spread <= 2),
        row("tunnel over `ws` to Debian's wireguard-go, worst of four ways", "5 x (floor 3 x)",
            "–" if worst is None else f"{worst:.1f} x", None if worst is None else worst >= 5),
        row("processor time a gigabyte, both ends, to Debian's wireguard-go", "below 1 x",
            w.ratio("throughput_cpu/smartvpn_ws", "throughput_cpu/wireguard_go_debian"),
            None if not (ours and theirs) else ours < theirs),
        row("resident memory of an idle session at 10,000, plain", "6 KiB",
            w.cell("idle_session/plain/resident", 1 / 1024, " KiB"), at_most("idle_session/plain/resident", 6144)),
        row("the same with TLS", "24 KiB", w.cell("idle_session/tls/resident", 1 / 1024, " KiB"),
            at_most("idle_session/tls/resident", 24576)),
    ]
    for way in ("from_client", "to_client"):
        arrow = way.replace("_", " ")
        rows.append(row(f"allocations a packet, {arrow}", "0", w.cell(f"counts/{way}/allocations"),
                        at_most(f"counts/{way}/allocations", 0.01)))
        rows.append(row(f"locks a packet, {arrow}", "0", w.cell(f"counts/{way}/locks"),
                        at_most(f"counts/{way}/locks", 0.01)))
        rows.append(row(f"bytes copied in user space for a byte carried, {arrow} (the socket's own copy apart)", "0",
                        w.cell(f"counts/{way}/copied_bytes", 1 / 1368), at_most(f"counts/{way}/copied_bytes", 14)))
    for what, bound, ratio in bindings.goals(w):
        rows.append(row(what, f"{bound} x", "–" if ratio is None else f"{ratio:.3g} x",
                        None if ratio is None else ratio >= bound))
    rows += [row(*goal) for goal in wireguard.goals(w)]
    w.say("## Goals")
    w.say()
    w.table(["", "goal", "measured", "met"], rows)


def tunnels(w):
    w.say("## Tunnels")
    w.say()
    w.say("iperf3 with cubic between two network namespaces over a veth pair, inner MTU 1420, all tunnels up at once and "
          "taking turns; medians of the rounds, ratios within a round. Both tunnel ends and both iperf3 ends share the "
          "machine's processors, so a rate is total cost, not a card's speed. Over veth a large segment is never cut; the "
          "last two columns are with `tso` and `gso` off on the pair, where it is cut before the receiver, as on a wire.")
    w.say()
    modes = (("throughput", "1_up"), ("throughput", "1_down"), ("throughput", "4_up"), ("throughput", "4_down"),
             ("cut", "1_up"), ("cut", "1_down"))
    head = ["Gbit/s", "1 stream up", "1 down", "4 up", "4 down", "cut: 1 up", "cut: 1 down"]
    w.table(head, [[title] + [w.cell(f"{kind}/{road}/{mode}") for kind, mode in modes] for title, road in ROADS])
    head[0] = "times wireguard-go of Debian"
    w.table(head, [[title] + [w.cell(f"{kind}_ratio/{road}/{mode}") for kind, mode in modes]
                   for title, road in ROADS if road != "wireguard_go_debian"])
    w.table(["", "s of processor a GB, both ends", "the same, cut", "idle RTT"],
            [[title, w.cell(f"throughput_cpu/{road}"), w.cell(f"cut_cpu/{road}"), w.cell(f"rtt/{road}", 1, " µs")]
             for title, road in ROADS])


def handshakes(w):
    w.say("## Handshakes")
    w.say()
    w.table(["", "a second and core", "each"], [
        ["Noise IK responder alone, `ss` prepared (as in a server)", w.cell("ik_responder/prepared/per_second"),
         w.cell("ik_responder/prepared", 1e-3, " µs")],
        ["Noise IK responder alone, every exchange", w.cell("ik_responder/all_exchanges/per_second"),
         w.cell("ik_responder/all_exchanges", 1e-3, " µs")],
        ["accept to session end over `ws`, server's processor", w.cell("end_to_end/plain/per_core_second"),
         w.cell("end_to_end/plain/cpu", 1, " µs")],
        ["the same over `wss` (TLS 1.3, P-256 certificate)", w.cell("end_to_end/tls/per_core_second"),
         w.cell("end_to_end/tls/cpu", 1, " µs")],
        ["X25519", "", w.cell("x25519_shared", 1e-3, " µs")],
        ["a public key from a private one", "", w.cell("x25519_public", 1e-3, " µs")],
    ])


AEAD_SIZES = (64, 144, 576, 1424)
AEAD_BACKENDS = ("openssl", "sodium", "avx2", "avx512")


def aead_cell(w, backend, size):
    return "; ".join(w.cell(f"aead_{way}/{backend}/{size}", 1, " ns") +
                     ("" if backend == "openssl" else
                      f" ({w.ratio(f'aead_{way}/openssl/{size}', f'aead_{way}/{backend}/{size}')})")
                     for way in ("seal", "open"))


def small_ones(w):
    w.say("## Parsing, lists, sealing")
    w.say()
    w.table(["PROXY header", "smartvpn", "Go, pires/go-proxyproto", "times"],
            [[title, w.cell(f"proxy_header/{n}", 1, " ns"), w.cell(f"go_proxy_header/{n}", 1, " ns"),
              w.ratio(f"go_proxy_header/{n}", f"proxy_header/{n}")]
             for title, n in (("v1", "v1"), ("v2", "v2"), ("v2 with three TLVs", "v2_tlvs"))])
    w.table(["access list", "look-up"],
            [[f"{n:,} entries" if n > 1 else "1 entry", w.cell(f"acl_look_up/{n}", 1, " ns")] for n in (1, 1000, 100000)])
    w.table(["ChaCha20-Poly1305", "seal", "open", "seal, rate", "`openssl speed`"],
            [[title, w.cell(f"seal/{size}/{n}", 1, " ns"), w.cell(f"open/{size}/{n}", 1, " ns"),
              w.cell(f"seal/{size}/{n}/rate", 1, " Gbit/s"), w.cell(f"openssl_speed/{size}", 1, " ns")]
             for title, size, n in (("packet of 1,420 bytes, batch of 64", 1420, 64), ("record of 64 KiB", 65536, 1))])
    w.table(["a packet of a batch of 64, sealed; opened", *(f"{size:,} bytes" for size in AEAD_SIZES)],
            [[backend] + [aead_cell(w, backend, size) for size in AEAD_SIZES] for backend in AEAD_BACKENDS])
    w.say("In parentheses: times as fast as the OpenSSL back end in the same run. Opening begins with a copy of the "
          "ciphertext. The batch above goes through the fastest back end.")
    w.say()
    w.table(["UDP over loopback, sent and received by one thread, a datagram", "1,452 bytes", "128 bytes", "rate at 1,452"],
            [[title, w.cell(f"udp_loopback/{n}/1452", 1, " ns"), w.cell(f"udp_loopback/{n}/128", 1, " ns"),
              w.cell(f"udp_loopback/{n}/1452/rate", 1, " Gbit/s")]
             for title, n in (("64 a call", "plain"), ("the kernel cuts (UDP_SEGMENT)", "gso"),
                              ("and puts together (UDP_GRO)", "gso_gro"))])
    w.say("`openssl speed` sets no nonce and makes no tag for each piece, which costs some 200 to 400 ns.")
    w.say()


def memory_and_counts(w):
    w.say("## Memory of an idle session")
    w.say()
    w.say("10,000 sessions over loopback, their clients in another process; the server's growth by their number.")
    w.say()
    w.table(["", "resident", "of it allocated", "kernel (slab of both ends, halved)"],
            [[kind, *(w.cell(f"idle_session/{key}/{what}", 1 / 1024, " KiB")
                      for what in ("resident", "allocated", "kernel_slab"))]
             for kind, key in (("`ws`", "plain"), ("`wss`", "tls"))])
    w.say("## A packet of a steady stream")
    w.say()
    w.say("What the server does in user space for 1,368 bytes of an inner TCP stream over `ws`: calls of the allocator, of "
          "pthread locks, and of memcpy and memmove for more than 64 bytes, of all its threads and libraries.")
    w.say()
    w.table(["", "from the client", "to the client"],
            [[title, *(w.cell(f"counts/{way}/{name}") for way in ("from_client", "to_client"))]
             for title, name in (("allocations", "allocations"), ("locks", "locks"), ("copies", "copies"),
                                 ("bytes copied", "copied_bytes"), ("reads or writes of the device", "super_packets"),
                                 ("futex calls in a second", "futex_calls"))])


def document(figures, about):
    w = Writer(figures)
    w.say("# Performance")
    w.say()
    w.say("<!-- Written by scripts/bench.sh; edit tests/bench/report.py instead. -->")
    w.say()
    w.say("Figures of one run on one machine. Only ratios within a run mean something elsewhere; `scripts/bench.sh` makes "
          "this page anew, `scripts/bench.sh primitives|server|memory|tunnel|wireguard|relay|counts|bindings` prints a part.")
    w.say()
    for name in ("date", "machine", "measured with", "versions", "commit"):
        if name in about:
            w.say(f"- {name}: {about[name]}")
    w.say()
    for part in (goals, tunnels, wireguard.section, relay.section, handshakes, small_ones, memory_and_counts, bindings.section):
        part(w)
    return "\n".join(w.lines).rstrip() + "\n"
