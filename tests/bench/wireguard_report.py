"""The section "WireGuard" of docs/PERFORMANCE.md, from the figures of wireguard_bench.py and wireguard_crowd.py."""
import os

ROADS = (("plain veth", "veth"), ("wireguard-go, upstream", "wireguard_go_upstream"),
         ("wireguard-go, Debian's", "wireguard_go_debian"), ("boringtun", "boringtun"),
         ("smartvpn, upstream's wireguard-go dials", "smartvpn_serves_upstream"),
         ("smartvpn, OpenSSL", "smartvpn_openssl"), ("smartvpn, as it chooses", "smartvpn_automatic"))
CROWDS = (("wireguard-go, upstream", "wireguard_go_upstream"), ("wireguard-go, Debian's", "wireguard_go_debian"),
          ("boringtun", "boringtun"), ("smartvpn", "smartvpn"))
MODES = ("1_up", "1_down", "4_up", "4_down")
HEAD = ("1 stream up", "1 down", "4 up", "4 down")
UDP = ("udp_172", "udp_1372")


def worst(w, kind, road, modes=MODES[:2]):
    """The lowest ratio of these modes, within a round to the reference of `kind`."""
    ratios = [w.value(f"{kind}/{road}/{mode}") for mode in modes]
    return min(ratios) if all(ratios) else None


def goals(w):
    """(what, goal, measured, met) for the table of goals. One stream, the worse of both directions."""
    rows = []

    def at_least(what, value, bound, goal, unit=" x"):
        measured = "–" if value is None else f"{value:,.0f}{unit}" if value >= 100 else f"{value:.2f}{unit}"
        rows.append((what, goal, measured, None if value is None else value >= bound))

    def at_most(what, name, bound, goal, scale, unit):
        value = w.value(name)
        rows.append((what, goal, w.cell(name, scale, unit), None if value is None else value <= bound))

    to_upstream = "WireGuard tunnel to wireguard-go of upstream, one stream"
    for kind, cut, bounds in (("wireguard_ratio", "", (1.9, 1.3, 2.5, 3.0)),
                              ("wireguard_cut_ratio", ", segments cut", (2.2, 1.5, 2.6, 3.0))):
        plain, floor, vector, best = bounds
        at_least(f"{to_upstream}{cut}, OpenSSL", worst(w, kind, "smartvpn_openssl"), plain,
                 f"{plain} x (floor {floor} x)")
        at_least(f"{to_upstream}{cut}, vector back end", worst(w, kind, "smartvpn_automatic"), vector,
                 f"{vector} x, then {best} x")
    for kind, cut in (("wireguard_to_debian", ""), ("wireguard_cut_to_debian", ", segments cut")):
        at_least(f"WireGuard tunnel to Debian's wireguard-go{cut}, OpenSSL, worst of four ways",
                 worst(w, kind, "smartvpn_openssl", MODES), 1.0, "1 x")
    at_most("idle round trip through WireGuard to wireguard-go of upstream", "wireguard_ratio/smartvpn_automatic/rtt",
            0.6, "0.6 x", 1, " x")
    at_least("WireGuard handshakes, a second and core of the server", w.value("crowd/smartvpn/handshakes"), 5000,
             "5,000/s", "/s")
    at_most("what a WireGuard key adds to a registered client, 10,000 peers", "crowd/smartvpn/wireguard_key", 1024,
            "1 KiB", 1 / 1024, " KiB")
    at_most("what a session adds to that", "crowd/smartvpn/session", 4096 - 1024, "3 KiB", 1 / 1024, " KiB")
    return rows


def rivals():
    """What scripts/rivals.sh wrote down."""
    try:
        with open(os.environ.get("BENCH_RIVALS", "build/rivals") + "/versions.txt", encoding="utf-8") as file:
            return file.read().splitlines()
    except OSError:
        return ["the rivals were not built: scripts/rivals.sh"]


def tunnels(w, prefix, head):
    w.table([f"{head}, Gbit/s", *HEAD], [[title, *(w.cell(f"{prefix}/{road}/{mode}") for mode in MODES)]
                                         for title, road in ROADS])
    others = [row for row in ROADS if row[1] not in ("veth", "wireguard_go_upstream")]
    w.table([f"{head}, times upstream's wireguard-go", *HEAD, "to Debian's: 1 up", "1 down"],
            [[title, *(w.cell(f"{prefix}_ratio/{road}/{mode}") for mode in MODES),
              *(w.cell(f"{prefix}_to_debian/{road}/{mode}") for mode in MODES[:2])] for title, road in others])
    w.table([head, "s of processor a GB, both ends", "UDP 172 bytes, kpps", "UDP 1,372", "times upstream, 172", "1,372"],
            [[title, w.cell(f"{prefix}_cpu/{road}"), *(w.cell(f"{prefix}/{road}/{mode}") for mode in UDP),
              *(w.cell(f"{prefix}_ratio/{road}/{mode}") for mode in UDP)] for title, road in ROADS[1:]])


def section(w):
    w.say("## WireGuard")
    w.say()
    w.say("Tunnels between two network namespaces over a veth pair, inner MTU 1420, iperf3 with cubic, all up at once and "
          "taking turns; medians of the rounds, ratios within a round. Both ends and both iperf3 share the machine's "
          "processors. A rival is on both ends of its tunnel; ours is once the server of upstream's client and else on "
          "both ends, where our own machines dial (`tests/bench/wireguard_peer`). Over veth a UDP super-packet is never "
          "cut: 'cut' is with `ethtool -K … tx-udp-segmentation off`, where the kernel cuts it before the receiver; a "
          "card that can do it lies between the two. UDP are single inner packets, as many as iperf3 can make, "
          "counted where they arrive.")
    w.say()
    for line in rivals():
        w.say(f"- {line}")
    w.say()
    tunnels(w, "wireguard", "whole segments")
    tunnels(w, "wireguard_cut", "segments cut")
    w.table(["idle round trip, ping 200 times a second", "µs", "times upstream's wireguard-go"],
            [[title, w.cell(f"wireguard/{road}/rtt"), w.cell(f"wireguard_ratio/{road}/rtt")] for title, road in ROADS])
    w.say("10,000 peers of one server, made by a foreign initiator (`tests/support/wireguard_initiator.py`), each with one "
          "handshake and a keepalive; the server's processor time and the growth of its resident memory, by their "
          "number. For ours 'configured' is all of a registered client.")
    w.say()
    w.table(["", "handshakes a second and core", "configured", "live", "cookie replies"],
            [[title, w.cell(f"crowd/{name}/handshakes"), *(w.cell(f"crowd/{name}/{what}", 1 / 1024, " KiB")
                                                          for what in ("configured", "live")),
              w.cell(f"crowd/{name}/cookies")] for title, name in CROWDS])
