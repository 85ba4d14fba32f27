"""smartvpn serve under a service manager: sockets that are handed over, readiness, the watchdog, the units."""

import os
import re
import shutil
import socket
import subprocess
import sys

from cli_driver import WAIT_S, main, same
from control_driver import Controlled

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..")
UNITS = os.path.join(ROOT, "contrib", "systemd")


def healthy(address):
    with socket.create_connection(address, WAIT_S) as stream:
        stream.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        return stream.recv(64).startswith(b"HTTP/1.1 200")


# What systemd does between fork and exec: descriptors from 3 on, and its own process id in LISTEN_PID.
ACTIVATE = (
    "import os, sys\n"
    "fds = [os.dup(int(fd)) for fd in sys.argv[1].split(',')]\n"
    "fds = [__import__('fcntl').fcntl(fd, 0, 50) for fd in fds]\n"  # out of the way: F_DUPFD
    "[os.dup2(fd, 3 + i) for i, fd in enumerate(fds)]\n"
    "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)))\n"
    "os.environ.update({'LISTEN_FDNAMES': sys.argv[2]} if sys.argv[2] else {})\n"
    "os.closerange(3 + len(fds), 100)\n"
    "os.execv(sys.argv[3], sys.argv[3:])\n"
)


def activate(bench, sockets, names, config, *arguments):
    fds = [item.fileno() for item in sockets]
    command = [sys.executable, "-c", ACTIVATE, ",".join(map(str, fds)), names, bench.command]
    command += ["serve", "--config", bench.file("server.json", config), "--events", *arguments]
    from cli_driver import Program  # the interpreter becomes the command

    program = Program(command, pass_fds=fds)
    bench.programs.append(program)
    return program


def two_listeners(bench):
    listen = [{"transport": "websocket", "address": "127.0.0.1", "port": 1, "path": f"/{i}"} for i in range(2)]
    return bench.server_config(listen=listen)


def sockets(count):
    return [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]


def test_names_say_which_listener_a_socket_is_for(bench):
    for names, order in (("listener1:listener0", (1, 0)), ("1:0", (1, 0)), ("", (0, 1)), ("x.socket:x.socket", (0, 1))):
        handed = sockets(2)
        server = activate(bench, handed, names, two_listeners(bench))
        bound = {}
        for _ in range(2):
            event = server.event("listening")
            bound[event["listener"]] = event["address"]
        wanted = {index: "%s:%d" % item.getsockname() for index, item in zip(order, handed)}
        same((names, bound), (names, wanted))
        assert all(healthy(item.getsockname()) for item in handed)
        same(server.stop(), 0)


def test_the_variables_and_descriptors_go_no_further(bench):
    handed = sockets(1)
    server = activate(bench, handed, "listener0", bench.server_config())
    server.event("listening")
    fdinfo = open(f"/proc/{server.process.pid}/fdinfo/3", encoding="ascii").read()
    assert int(re.search(r"flags:\s*(\d+)", fdinfo)[1], 8) & os.O_CLOEXEC, fdinfo


def test_sockets_that_cannot_be_told_apart_are_refused(bench):
    for count, names in ((2, "listener0:listener0"), (2, "listener0:other"), (2, "listener0"), (1, "listener64"),
                         (1, "listener9")):
        server = activate(bench, sockets(count), names, bench.server_config())
        same((names, server.exit_code()), (names, 2))


def test_variables_for_another_process_are_not_ours(bench):
    config = bench.file("server.json", bench.server_config())
    environment = {**os.environ, "LISTEN_PID": "1", "LISTEN_FDS": "5"}
    server = bench.start("serve", "--config", config, "--events", env=environment)
    assert not server.event("listening")["address"].endswith(":1")
    same(server.stop(), 0)


def test_a_reload_keeps_the_sockets(bench):
    handed = sockets(1)
    path = os.path.join(bench.folder, "control.sock")
    server = activate(bench, handed, "listener0", bench.server_config(), "--control", path)
    server.event("listening")
    done = bench.run("reload", "--control", path)
    same((done.returncode, done.stdout), (0, "nothing has changed\n"))
    assert healthy(handed[0].getsockname())


def test_systemd_socket_activate_can_start_it(bench):
    program = shutil.which("systemd-socket-activate")
    assert program, "systemd-socket-activate is not installed"
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = free.getsockname()
    config = bench.file("server.json", bench.server_config())
    listen = ["-l", "%s:%d" % address, "--fdname=listener0"]
    from cli_driver import Program

    server = Program([program, *listen, bench.command, "serve", "--config", config, "--events"])
    bench.programs.append(server)
    server.error_line("Listening on")
    assert healthy(address)  # the connection that starts it is the first it serves
    same(server.event("listening")["address"], "%s:%d" % address)
    same(server.stop(), 0)


class Notified:
    def __init__(self, bench, abstract=False):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(WAIT_S)
        name = f"smartvpn-test-{os.getpid()}" if abstract else os.path.join(bench.folder, "notify.sock")
        self.socket.bind(f"\0{name}" if abstract else name)
        self.name = f"@{name}" if abstract else name

    def next(self, wanted):
        while True:
            words = dict(line.split("=", 1) for line in self.socket.recv(4096).decode().splitlines())
            if wanted in words:
                return words


def test_it_says_when_it_is_ready_reloads_lives_and_stops(bench):
    for abstract in (False, True):
        manager = Notified(bench, abstract)
        environment = {**os.environ, "NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "200000"}
        control = Controlled(bench, None, env=environment)
        same(manager.next("READY")["READY"], "1")
        for _ in range(3):
            same(manager.next("WATCHDOG")["WATCHDOG"], "1")
        control.good("reload")
        assert int(manager.next("RELOADING")["MONOTONIC_USEC"]) > 0
        same(manager.next("READY")["STATUS"], "running")
        bench.file("server.json", "{")
        control.bad(2, "reload")
        assert "failed" in manager.next("READY")["STATUS"]
        control.server.signal()
        same(manager.next("STOPPING")["STOPPING"], "1")
        same(control.server.exit_code(), 0)


def test_a_manager_that_is_gone_is_no_matter(bench):
    environment = {**os.environ, "NOTIFY_SOCKET": "/nonexistent/notify", "WATCHDOG_USEC": "1000"}
    control = Controlled(bench, None, env=environment)
    control.good("sessions")
    same(control.server.stop(), 0)


def unit(bench, name):
    """A unit as it would be installed, with this command in it."""
    text = open(os.path.join(UNITS, name + ".in"), encoding="utf-8").read()
    text = re.sub(r"@\w+@/smartvpn", lambda _: os.path.abspath(bench.command), text)
    assert "@" not in re.sub(r"@(system-service|privileged|resources)", "", text), text
    return bench.file(name, text)


def test_systemd_takes_the_units(bench):
    units = [unit(bench, name) for name in ("smartvpn.service", "smartvpn.socket")]
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *units],
                          capture_output=True, text=True, timeout=WAIT_S)
    about_us = [line for line in done.stderr.splitlines() if "smartvpn" in line]
    same((done.returncode, about_us), (0, []))


def test_the_service_has_little_to_attack(bench):
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--no-pager", unit(bench, "smartvpn.service")],
                          capture_output=True, text=True, timeout=WAIT_S)
    score = re.search(r"Overall exposure level for .*: ([\d.]+)", done.stdout)
    assert score, done.stdout + done.stderr
    assert float(score[1]) <= 2.0, done.stdout
    print(f"exposure {score[1]}")


def test_the_user_of_the_service_can_be_made(bench):
    done = subprocess.run(["systemd-sysusers", "--dry-run", os.path.join(UNITS, "smartvpn.sysusers")],
                          capture_output=True, text=True, timeout=WAIT_S)
    same(done.returncode, 0)


if __name__ == "__main__":
    main("cli.systemd", sys.modules[__name__])
