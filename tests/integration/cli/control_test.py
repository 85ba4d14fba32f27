"""The control socket: who may use it, what it takes, and what hostile or broken peers do to it."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time

from cli_driver import WAIT_S, main, same
from control_driver import Controlled, read_all, read_line


def alive(control):
    same(control.call("server.info")["result"]["state"], "running")


def error_of(line):
    return json.loads(line)["error"]["status"]


def test_it_is_its_owners_alone_from_the_first_moment(bench):
    old = os.umask(0)
    try:
        control = Controlled(bench)
    finally:
        os.umask(old)
    mode = os.lstat(control.path).st_mode
    same((stat.S_ISSOCK(mode), stat.S_IMODE(mode)), (True, 0o600))
    same(control.server.stop(), 0)
    same([name for name in os.listdir(bench.folder) if name.startswith("control")], [])


def test_it_answers_with_id_and_result_or_error(bench):
    control = Controlled(bench)
    info = control.call("server.info")["result"]
    same((info["state"], info["pid"]), ("running", control.server.process.pid))
    same(info["endpoints"][0]["address"], control.address)
    error = control.call("clients.get", id="nobody")["error"]
    same((error["status"], sorted(error)), ("NOT_FOUND", ["path", "status", "text"]))
    same(control.call("no.such")["error"]["status"], "NOT_FOUND")
    error = control.call("clients.get")["error"]
    same((error["status"], error["path"]), ("INVALID", "/id"))
    error = control.call("clients.get", id="alice", colour="red")["error"]
    same((error["status"], error["path"]), ("INVALID", "/colour"))
    for wrong in (5, None, "a\0b", {"a": 1}):
        same(control.call("clients.get", id=wrong)["error"]["status"], "INVALID")
    for wrong in ("1", -1, 1.5, True):
        same(control.call("sessions.get", id=wrong)["error"]["path"], "/id")


def test_several_requests_in_one_packet_are_answered_in_order(bench):
    control = Controlled(bench)
    with control.socket() as stream:
        stream.sendall(b"".join(b'{"id":%d,"method":"server.info"}\r\n\n' % i for i in range(500)))
        stream.shutdown(socket.SHUT_WR)
        answers = [json.loads(line)["id"] for line in read_all(stream).splitlines()]
    same(answers, list(range(500)))


def test_a_request_may_come_byte_by_byte(bench):
    control = Controlled(bench)
    with control.socket() as stream:
        for byte in b'{"id":"x","method":"server.info","params":{}}\n':
            stream.sendall(bytes([byte]))
        same(json.loads(read_line(stream))["id"], "x")


def test_garbage_is_an_error_and_the_connection_goes_on(bench):
    control = Controlled(bench)
    wrong = [b"garbage", b"[]", b"5", b'"x"', b"{}", b'{"method":5}', b'{"method":"server.info","params":[]}', b"\xff\xfe"]
    wrong += [b'{"method":"server.info","extra":1}', b'{"id":[],"method":"server.info"}', b'{"id":"%s"}' % (b"x" * 65)]
    wrong += [b"[" * 100000, b'{"params":' + b'{"a":' * 1000, b'{"id":1,"method":"a\x00b"}', b"\x00" * 100]
    with control.socket() as stream:
        for line in wrong:
            stream.sendall(line + b"\n")
            same((line[:60], error_of(read_line(stream))), (line[:60], "INVALID"))
        stream.sendall(b'{"id":1,"method":"server.info"}\n')
        same(json.loads(read_line(stream))["result"]["state"], "running")


def test_a_line_of_ten_megabytes_is_refused_and_ends_the_connection(bench):
    control = Controlled(bench)
    with control.socket() as stream:
        stream.settimeout(WAIT_S)
        sent = 0
        try:
            while sent < 10 << 20:
                sent += stream.send(b"x" * 65536)
        except (BrokenPipeError, ConnectionResetError):
            pass
        same(error_of(read_line(stream)), "LIMIT")
    assert sent < 4 << 20, f"{sent} bytes were taken"
    alive(control)


def test_the_longest_line_is_taken(bench):
    control = Controlled(bench)
    with control.socket() as stream:
        text = b'{"id":1,"method":"server.info"'
        stream.sendall(text + b" " * ((1 << 20) - len(text) - 2) + b"}\n")
        same(json.loads(read_line(stream))["result"]["state"], "running")


def test_half_requests_hold_nobody_up_and_are_cut(bench):
    control = Controlled(bench)
    halves = [control.socket() for _ in range(20)]
    for stream in halves:
        stream.sendall(b'{"id":1,"method":')
    alive(control)
    ended = control.socket()
    ended.sendall(b'{"id":1,"method":"server.info"}')
    ended.shutdown(socket.SHUT_WR)
    same(read_all(ended), b"")  # half a request at the end of a connection is none
    for stream in [*halves, ended]:
        same(read_all(stream), b"")  # cut after ten seconds
        stream.close()


def test_thirty_two_may_wait_and_one_more_is_refused(bench):
    control = Controlled(bench)
    streams = [control.socket() for _ in range(32)]
    for stream in streams:  # all are there, not only in the queue
        stream.sendall(b'{"id":1,"method":"server.info"}\n')
        read_line(stream)
    with control.socket() as late:
        same(error_of(read_line(late)), "LIMIT")
        same(read_all(late), b"")
    streams.pop().close()
    deadline = time.monotonic() + WAIT_S
    while "result" not in (answer := control.call_or_refusal("server.info")):
        assert time.monotonic() < deadline, answer
    for stream in streams:
        stream.close()


def test_a_reader_that_takes_nothing_holds_nobody_up(bench):
    clients = [{"id": f"client-{i}", "noise_public_key": bench.keys()["public_key"], "description": "x" * 1000}
               for i in range(300)]
    control = Controlled(bench, bench.server_config(clients=clients, network={"subnets": ["10.8.0.0/16"]}))
    sleepers = [control.socket() for _ in range(8)]
    for stream in sleepers:
        stream.sendall(b'{"id":1,"method":"clients.list","params":{"limit":1000}}\n' * 100)
    for _ in range(20):
        alive(control)
    memory = int(open(f"/proc/{control.server.process.pid}/statm", encoding="ascii").read().split()[1]) * 4096
    assert memory < 200 << 20, f"{memory} bytes"  # one answer each, not a hundred
    same(control.server.stop(), 0)
    for stream in sleepers:
        stream.close()


def test_a_change_whose_answer_could_not_be_given_is_not_made(bench):
    # One list is some 3 MB, so that what 31 connections do not read is more than the 64 MiB that may wait.
    entries = [f"2001:db8:{i >> 16:x}:{i & 65535:x}::/64" for i in range(25000)]
    control = Controlled(bench)
    for i in range(5):
        client = {"id": f"large-{i}", "security": {"ip_allow_list": entries}}
        assert "result" in control.call("clients.add", client=client)
    sleepers = [control.socket() for _ in range(31)]

    def unread(method, **params):
        """Asks on a connection of its own and reads no more than the beginning: whether there is a result."""
        stream = sleepers.pop(0)
        sleepers.append(stream)
        stream.sendall(json.dumps({"id": 1, "method": method, "params": params}).encode() + b"\n")
        return stream.recv(16).startswith(b'{"id":1,"result"')

    lists = 0
    while unread("clients.list", limit=1000):
        lists += 1
        assert lists < 25, lists
    assert lists > 10, lists
    updates = 0
    while unread("clients.update", id="large-0", changes={"description": f"update {updates}"}):
        updates += 1
        assert updates + lists < 30, updates
    for stream in sleepers:
        stream.close()
    deadline = time.monotonic() + WAIT_S
    while "result" not in (answer := control.call("clients.get", id="large-0")):
        assert time.monotonic() < deadline, answer
    same(answer["result"].get("description"), f"update {updates - 1}" if updates else None)
    assert updates > 0


def test_peers_that_vanish_leave_nothing_behind(bench):
    control = Controlled(bench)
    before = len(os.listdir(f"/proc/{control.server.process.pid}/fd"))
    for i in range(200):
        with control.socket() as stream:
            stream.sendall(b'{"id":1,"method":"sessions.list"}\n' * (i % 3))
    alive(control)
    deadline = time.monotonic() + WAIT_S
    while len(os.listdir(f"/proc/{control.server.process.pid}/fd")) > before:
        assert time.monotonic() < deadline, "descriptors were left open"


def test_another_user_is_refused_even_where_the_file_lets_him(bench):
    if os.geteuid() != 0:
        return  # only root can be somebody else
    control = Controlled(bench)
    os.chmod(bench.folder, 0o755)
    program = (
        "import os, socket, sys\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "s = socket.socket(socket.AF_UNIX)\n"
        "try: s.connect(sys.argv[1])\n"
        "except PermissionError: print('closed'); sys.exit()\n"
        "s.settimeout(30)\n"
        "print(s.recv(4096).decode(), end='')\n"
    )

    def as_nobody():
        command = [sys.executable, "-c", program, control.path]
        return subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=True).stdout

    same(as_nobody(), "closed\n")
    os.chmod(control.path, 0o666)
    same(error_of(as_nobody()), "REFUSED")
    alive(control)


def test_a_live_servers_socket_is_left_alone_and_a_dead_ones_is_taken_over(bench):
    control = Controlled(bench)
    config = bench.file("second.json", bench.server_config())
    done = bench.run("serve", "--config", config, "--control", control.path)
    same((done.returncode, done.stdout), (1, ""))
    assert "another server" in done.stderr, done.stderr
    alive(control)
    control.server.signal(signal.SIGKILL)
    control.server.exit_code()
    assert os.path.exists(control.path)
    alive(Controlled(bench))


def test_what_is_no_server_of_ours_is_not_removed(bench):
    path = bench.file("control.sock", "precious")
    config = bench.file("server.json", bench.server_config())
    same(bench.run("serve", "--config", config, "--control", path).returncode, 1)
    same(open(path, encoding="utf-8").read(), "precious")
    os.unlink(path)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        other.listen(1)
        done = bench.run("serve", "--config", config, "--control", path)
        same(done.returncode, 1)
        assert "another program" in done.stderr, done.stderr
        assert os.path.exists(path)


def test_a_folder_is_made_and_a_path_that_is_too_long_is_refused(bench):
    control = Controlled(bench, name="run/control.sock")
    same(stat.S_IMODE(os.lstat(os.path.dirname(control.path)).st_mode), 0o700)
    config = bench.file("server.json", bench.server_config())
    same(bench.run("serve", "--config", config, "--control", "/tmp/" + "x" * 200).returncode, 2)
    same(bench.run("sessions", "--control", "/tmp/" + "x" * 200).returncode, 2)


def test_commands_without_a_server_say_where_they_looked(bench):
    path = os.path.join(bench.folder, "none.sock")
    for command in (["sessions"], ["clients", "list"], ["stats"], ["reload"], ["disconnect", "1"]):
        done = bench.run(*command, "--control", path)
        same((done.returncode, done.stdout), (1, ""))
        assert done.stderr.startswith(f"smartvpn: {path}: ") and "--control" in done.stderr, done.stderr


def test_commands_survive_a_server_that_talks_nonsense(bench):
    path = os.path.join(bench.folder, "nonsense.sock")
    for nonsense in (b"", b"\n", b"hello\n", b"{}\n", b"[1]\n", b'{"id":1,"result"', b'{"id":1,"result":5}\n'):
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path)
            listening.listen(1)
            program = bench.start("sessions", "--control", path)
            stream, _ = listening.accept()
            stream.recv(4096)
            stream.sendall(nonsense)
            stream.close()
            same((nonsense, program.exit_code()), (nonsense, 1))
        os.unlink(path)


if __name__ == "__main__":
    main("cli.control", sys.modules[__name__])
