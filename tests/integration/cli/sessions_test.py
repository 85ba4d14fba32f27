"""smartvpn sessions, disconnect, stats and reload: a running server for people and programs."""

import fcntl
import json
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time

from cli_driver import WAIT_S, main, same
from control_driver import Controlled

TITLES = ["SESSION", "CLIENT", "REAL", "ADDRESS", "INNER", "ADDRESS", "TRANSPORT", "RTT", "IN", "OUT", "SINCE"]


def with_a_session(bench):
    control = Controlled(bench)
    client = bench.connect(control.address, "--events")
    client.event("session_up")
    return control, client, control.server.event("session_up")


def test_sessions_shows_who_is_connected(bench):
    control, _, event = with_a_session(bench)
    titles, line = control.good("sessions").splitlines()
    same(titles.split(), TITLES)
    wanted = [str(event["session_id"]), "alice", event["remote_addr"], "10.8.0.2", "fd00:8::2", "websocket"]
    same(line.split()[:6], wanted)
    sessions = control.json("sessions")
    same([(session["id"], session["client_id"]) for session in sessions], [(event["session_id"], "alice")])
    same(control.call("sessions.get", id=event["session_id"])["result"]["client_id"], "alice")


def test_disconnect_by_session_and_by_client(bench):
    control, client, event = with_a_session(bench)
    same(control.good("disconnect", str(event["session_id"])), "1 session was disconnected\n")
    same(control.server.event("session_down")["reason"], "disconnected")
    client.event("session_up")  # it came back
    same(control.json("disconnect", "--client", "alice"), {"disconnected": 1})
    control.bad(1, "disconnect", str(event["session_id"]))
    control.bad(1, "disconnect", "--client", "nobody")
    control.bad(2, "disconnect")
    for arguments in (["x"], ["1.5"], ["1", "--client", "alice"]):
        same((arguments, control.run("disconnect", *arguments).returncode), (arguments, 2))


def test_stats_in_three_forms(bench):
    control, _, _ = with_a_session(bench)
    same(control.json("stats")["total"]["sessions_now"], 1)
    assert any(line.split() == ["sessions_now", "1"] for line in control.good("stats").splitlines())
    text = control.good("stats", "--prometheus")
    assert 'smartvpn_sessions{' in text, text
    if shutil.which("promtool"):
        subprocess.run(["promtool", "check", "metrics"], input=text, text=True, check=True, timeout=WAIT_S)
    same(control.json("stats", "--client", "alice")["sessions_now"], 1)
    control.bad(1, "stats", "--client", "nobody")
    same(control.run("stats", "--json", "--prometheus").returncode, 2)


def test_reload_says_what_became_of_every_key(bench):
    control = Controlled(bench)
    same(control.good("reload"), "nothing has changed\n")
    config = bench.server_config(network={"subnets": ["10.8.0.0/24", "fd00:8::/64"], "dns": ["10.8.0.1"]})
    config["session"] = {"keepalive_interval_ms": 25000}
    bench.file("server.json", config)
    dry = control.json("reload", "--dry-run")
    assert {"path": "/network/dns", "result": "applied"} in dry["changes"], dry
    same(control.json("reload", "--dry-run"), dry)
    lines = control.good("reload").splitlines()
    assert "/network/dns: applied" in lines, lines
    control.server.event("reconfigured")
    assert all(change["path"] != "/network/dns" for change in control.json("reload")["changes"])


def test_a_reload_that_is_refused_changes_nothing(bench):
    control, _, _ = with_a_session(bench)
    for config in ("{", bench.server_config(netwrk={}), bench.server_config(network={"mtu": 5})):
        bench.file("server.json", config)
        control.bad(2, "reload")
    os.unlink(os.path.join(bench.folder, "server.json"))
    assert "server.json" in control.bad(2, "reload")
    same(len(control.json("sessions")), 1)


def test_hangup_does_what_reload_does(bench):
    control = Controlled(bench)
    network = {"subnets": ["10.8.0.0/24", "fd00:8::/64"], "dns": ["10.8.0.1"]}
    bench.file("server.json", bench.server_config(network=network))
    control.server.signal(signal.SIGHUP)
    control.server.event("reconfigured")
    bench.file("server.json", "{")
    control.server.signal(signal.SIGHUP)
    assert control.server.error_line("smartvpn: ")
    same(control.good("sessions").split(), TITLES)


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, bench, columns, *arguments):
        self.master, slave = pty.openpty()
        self.resize(columns)
        self.before = termios.tcgetattr(slave)
        self.process = subprocess.Popen([bench.command, *arguments], stdin=slave, stdout=slave, stderr=slave)
        self.slave, self.seen = slave, ""
        bench.programs.append(self)

    def resize(self, columns, rows=24):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read_until(self, text):
        deadline = time.monotonic() + WAIT_S
        while text not in self.seen:
            assert time.monotonic() < deadline, f"no {text!r} in {self.seen!r}"
            if select.select([self.master], [], [], 0.1)[0]:
                self.seen += os.read(self.master, 65536).decode()
        before, self.seen = self.seen.split(text, 1)
        return before

    def frame(self):
        """The next whole picture as lines."""
        self.read_until("\x1b[H")
        return [line.replace("\x1b[K", "").rstrip("\r") for line in self.read_until("\x1b[J").split("\n")]

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


def test_watch_on_a_terminal_refreshes_with_rates_and_ends_with_q(bench):
    control, _, _ = with_a_session(bench)
    terminal = Terminal(bench, 200, "sessions", "--watch", "--control", control.path)
    first = terminal.frame()
    assert "1 session" in first[0] and "alice" in first[3], first
    while "IN/S" not in (picture := terminal.frame())[2]:
        pass
    assert picture[3].count("B/s") == 2 and "websocket" in picture[3], picture
    os.write(terminal.master, b"q")
    same(terminal.process.wait(WAIT_S), 0)
    same(termios.tcgetattr(terminal.slave), terminal.before)
    terminal.read_until("\x1b[?1049l")


def test_watch_fits_narrow_terminals(bench):
    control, _, event = with_a_session(bench)
    for columns in (200, 100, 60, 40, 20):
        terminal = Terminal(bench, columns, "sessions", "--watch", "--control", control.path)
        lines = terminal.frame()
        assert all(len(line) <= columns for line in lines[2:]), (columns, lines)
        assert "alice" in lines[3], (columns, lines)
        same((columns, event["remote_addr"] in lines[3]), (columns, columns >= 40))
        terminal.resize(120)
        terminal.process.send_signal(signal.SIGINT)
        same(terminal.process.wait(WAIT_S), 0)
        same(termios.tcgetattr(terminal.slave), terminal.before)


def test_watch_without_a_terminal_is_plain_text_or_lines_of_json(bench):
    control, _, _ = with_a_session(bench)
    watch = bench.start("sessions", "--watch", "--control", control.path)
    for _ in range(2):
        line = watch.line("stdout", lambda line: "alice" in line and line)
        assert "\x1b" not in line, line
    same(watch.stop(), 0)
    watch = bench.start("sessions", "--watch", "--json", "--control", control.path)
    moments = [watch.line("stdout", json.loads) for _ in range(2)]
    assert moments[0]["time"] < moments[1]["time"], moments
    same([session["client_id"] for session in moments[1]["sessions"]], ["alice"])
    watch.signal(signal.SIGINT)
    same(watch.exit_code(), 0)


def test_watch_ends_when_the_server_or_the_reader_does(bench):
    control = Controlled(bench)
    watch = bench.start("sessions", "--watch", "--control", control.path)
    watch.line("stdout", lambda line: "0 sessions" in line)
    reading, writing = os.pipe()
    unread = bench.start("sessions", "--watch", "--control", control.path, stdout=writing)
    os.close(writing)
    os.read(reading, 10)
    os.close(reading)
    same(unread.exit_code(), 0)
    same(control.server.stop(), 0)
    same(watch.exit_code(), 1)


if __name__ == "__main__":
    main("cli.sessions", sys.modules[__name__])
