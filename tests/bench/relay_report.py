"""The section "Relay" of docs/PERFORMANCE.md, from the figures of relay_bench.py."""
import re

BEGIN, END = "<!-- relay: by one run of its own -->", "<!-- end of relay -->"
KINDS = (("passed through", "plain"), ("PROXY v2 out", "proxy_out"), ("PROXY v2 in and out", "proxy_in"),
         ("TLS ends here", "tls"))
ROADS = (("no proxy", "direct"), ("smartvpn relay", "relay"), ("HAProxy", "haproxy"), ("nginx stream", "nginx"))
HEAD = ("connections a second", "processor for one", "Mbit/s, one stream", "a byte there and back, p50", "p99",
        "an idle connection")


def goals(w):
    """(what, goal, measured, met)"""
    rows = []
    for title, kind in KINDS:
        for what, name, least in (("connections a second", "rate", True), ("processor for a connection", "cpu", False),
                                  ("throughput", "mbit", True)):
            value = w.value(f"relay/{kind}/{name}_ratio/relay")
            met = None if value is None else value >= 1 if least else value <= 1
            rows.append((f"{title}: {what} to HAProxy's", "at least 1 x" if least else "at most 1 x",
                         w.cell(f"relay/{kind}/{name}_ratio/relay", 1, " x"), met))
    memory = w.value("relay/plain/memory_ratio/relay")
    rows.append(("memory of an idle connection to HAProxy's", "at most 1 x",
                 w.cell("relay/plain/memory_ratio/relay", 1, " x"), None if memory is None else memory <= 1))
    return rows


def section(w, about=None):
    w.say(BEGIN)
    w.say("## Relay")
    w.say()
    w.say("The proxies one after the other on loopback, one thread each, in front of the same server and under the same "
          "load, which share the machine's processors with them; medians of the rounds, ratios within a round. A "
          "connection carries one byte there and back. nginx writes no headers of version 2.")
    w.say()
    for name in ("date", "machine", "measured with", "versions", "commit"):
        if about and name in about:
            w.say(f"- {name}: {about[name]}")
    w.say()
    yes = {None: "–", True: "yes", False: "**no**"}
    w.table(["", "goal", "measured", "met"], [[*row[:3], yes[row[3]]] for row in goals(w)])
    for title, kind in KINDS:
        rows = [[name, w.cell(f"relay/{kind}/rate/{road}"), w.cell(f"relay/{kind}/cpu/{road}", 1, " µs"),
                 w.cell(f"relay/{kind}/mbit/{road}"), w.cell(f"relay/{kind}/p50/{road}", 1, " µs"),
                 w.cell(f"relay/{kind}/p99/{road}", 1, " µs"), w.cell(f"relay/{kind}/memory/{road}", 1 / 1024, " KiB")]
                for name, road in ROADS if w.value(f"relay/{kind}/rate/{road}") is not None]
        w.table([title, *HEAD], rows)
    w.say(END)
    w.say()


def renewed(text, w, about):
    """The document with this section from another run, which says so itself."""
    versions = [one for one in about["versions"].split("; ") if one.startswith(("OpenSSL", "libuv", "HAProxy", "nginx"))]
    section(w, dict(about, versions="; ".join(versions)))
    new = "\n".join(w.lines).rstrip()
    return re.sub(re.escape(BEGIN) + ".*?" + re.escape(END), lambda _: new, text, flags=re.DOTALL)
