"""What lies around a running server goes wrong: files replaced under their names, disks full, sockets and stores
removed, the wall clock set. It goes on serving, says what it could not do, and takes what is good again."""

import fcntl
import json
import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import time

from cli_driver import WAIT_S, main, same
from control_driver import Controlled
from serve_test import healthy, split

HOUR, YEAR = 3600, 365 * 24 * 3600


def certificate(folder, name):
    """Makes chain.pem and key.pem there, good for two days."""
    chain, key = (os.path.join(folder, part) for part in ("chain.pem", "key.pem"))
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    names = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", "req", "-x509", *kind, *names, "-out", chain, "-keyout", key], check=True, capture_output=True)
    return chain, key


def garbage(path, other):
    with open(path, "wb") as file:
        file.write(os.urandom(4096))


def foreign(path, other):
    shutil.copy(other, path)


def huge(path, other):
    with open(path, "wb") as file:
        file.truncate(1 << 30)


def cut(path, other):
    with open(path, "rb+") as file:
        file.truncate(os.path.getsize(path) // 2)


def removed(path, other):
    pass


WRONG = (garbage, foreign, huge, cut, removed, lambda path, other: os.mkdir(path), lambda path, other: os.mkfifo(path),
         lambda path, other: os.symlink("/dev/zero", path), lambda path, other: open(path, "w").close())


def clear(path):
    if os.path.isdir(path):
        os.rmdir(path)
    elif os.path.lexists(path):
        os.remove(path)


def test_certificates_and_keys_that_are_no_good_leave_the_old_ones_in_service(bench):
    chain, key = certificate(bench.folder, "first")
    os.mkdir(spare := os.path.join(bench.folder, "spare"))
    certificate(spare, "second")
    config = bench.server_config()
    config["listen"][0]["tls"] = {"certificate": chain, "key": key}
    server, address = bench.serve(config)
    first = ssl.get_server_certificate(split(address))
    for path in (chain, key):
        shutil.copy(path, good := path + ".good")
        for spoil in WRONG:
            if spoil is not cut and spoil is not garbage:
                clear(path)
            spoil(path, os.path.join(spare, os.path.basename(path)))
            server.signal(signal.SIGHUP)
            line = server.error_line("smartvpn: /listen/0/tls")
            # Which of the two is wrong when they do not fit cannot be said.
            assert ("/certificate: " if path == chain else "/key: ") in line or spoil is foreign, line
            same(ssl.get_server_certificate(split(address)), first)
            clear(path)
            shutil.copy(good, path)
    for name in ("chain.pem", "key.pem"):
        shutil.copy(os.path.join(spare, name), os.path.join(bench.folder, name))
    server.signal(signal.SIGHUP)
    deadline = time.monotonic() + WAIT_S
    while ssl.get_server_certificate(split(address)) == first:
        assert time.monotonic() < deadline, "still the old certificate"
    same(server.stop(), 0)


def test_an_authority_that_is_no_good_is_refused_before_anything_is_dialled(bench):
    chain, _ = certificate(bench.folder, "ca")
    for spoil in WRONG:
        if spoil is foreign:
            continue  # another authority is one
        clear(chain)
        if spoil is cut:
            certificate(bench.folder, "ca")
        spoil(chain, chain)
        config = bench.tunnel_config("127.0.0.1:1", server="wss://127.0.0.1:1/tunnel", tls={"ca": chain})
        done = bench.run("connect", "--config", bench.file("tunnel.json", config))
        assert done.returncode != 0 and done.stderr.startswith("smartvpn: /tls/ca: "), done.stderr


def test_a_configuration_that_cannot_be_read_again_changes_nothing(bench):
    control = Controlled(bench)
    path = os.path.join(bench.folder, "server.json")
    for spoil in WRONG:
        if spoil is foreign:
            continue
        clear(path)
        if spoil is cut:
            bench.file("server.json", bench.server_config())
        spoil(path, path)
        control.bad(2, "reload")
        assert healthy(control.address)
        clear(path)
    bench.file("server.json", bench.server_config())
    same(control.json("reload"), {"changes": []})
    same(control.server.stop(), 0)


def test_standard_input_and_pipes_are_read_once(bench):
    for command in (f"cat {{}} | {bench.command} serve --config - --events", f"{bench.command} serve --config <(cat {{}}) --events"):
        path = bench.file("server.json", bench.server_config())
        server = bench.start_shell(f"exec bash -c '{command.format(path)}; exit $?'", start_new_session=True)
        address = server.event("listening")["address"]
        pid = int(subprocess.run(["pgrep", "-g", str(server.process.pid), "-f", f"^{bench.command} serve"], capture_output=True,
                                 text=True, check=True).stdout.split()[0])
        os.kill(pid, signal.SIGHUP)
        server.error_line("read")
        assert healthy(address)
        os.kill(pid, signal.SIGTERM)
        same(server.exit_code(), 0)


def test_a_full_disk_under_the_events_costs_the_events_of_that_time_and_no_more(bench):
    if os.geteuid() != 0:
        return  # only root can have a disk of its own
    disk = os.path.join(bench.folder, "disk")
    os.mkdir(disk)
    config = bench.file("server.json", bench.server_config(security={"new_connections_per_ip_per_minute": 1000000}))
    # What fills the disk goes when the test says so.
    script = (f"mount -t tmpfs -o size=8k none {disk} && {{ {bench.command} serve --config {config} --events > {disk}/events & }} && "
              f"pid=$! && echo pid $pid && while read word; do case $word in fill) head -c 8192 /dev/zero > {disk}/rest;; "
              f"free) rm {disk}/rest;; show) cat {disk}/events; echo end;; esac; echo ok; done 2>/dev/null; wait $pid")
    shell = subprocess.Popen(["unshare", "-m", "sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    pid = int(shell.stdout.readline().split()[1])
    try:
        def ask(word):
            shell.stdin.write(word + "\n")
            shell.stdin.flush()
            lines = []
            while (line := shell.stdout.readline()) != "ok\n":
                assert line, "the shell has ended"
                lines.append(line)
            return lines

        def events():
            return [json.loads(line) for line in ask("show")[:-1] if line.startswith("{") and line.endswith("}\n")]

        deadline = time.monotonic() + WAIT_S
        while not (seen := events()):
            assert time.monotonic() < deadline, "no event"
        address = seen[0]["address"]
        ask("fill")
        for _ in range(40):  # more than is left of the page
            assert healthy(address)
        same(ask("free"), [])
        while not [e for e in events() if e["type"] == "lost"]:
            assert time.monotonic() < deadline, "nothing is written again"
            assert healthy(address)
        lost = [e for e in events() if e["type"] == "lost"]
        same((len(lost), lost[0]["lane"]), (1, "output"))
        assert 0 < lost[0]["count"] <= 80, lost
        os.kill(pid, signal.SIGTERM)
        shell.stdin.close()
        same(shell.wait(WAIT_S), 0)
    finally:
        if shell.poll() is None:
            os.kill(pid, signal.SIGKILL)
            shell.kill()
            shell.wait()


def test_outputs_that_take_nothing_at_all_do_not_matter(bench):
    for where in ("> /dev/full", "> /dev/full 2>&1", "2> /dev/full", ">&- 2> /dev/full", "< /dev/null > /dev/full 2>&-"):
        events = "--events" if not where.startswith("2>") else ""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            config = bench.server_config(listen=[{"transport": "websocket", "fd": listening.fileno()}])
            command = f"exec {bench.command} serve --config {bench.file('server.json', config)} {events} {where}"
            server = bench.start_shell(command, pass_fds=[listening.fileno()])
            address = "%s:%d" % listening.getsockname()
            assert healthy(address)
        bench.file("server.json", "{")
        server.signal(signal.SIGHUP)  # what it has to say about that goes nowhere
        for _ in range(5):
            assert healthy(address)
        client = bench.connect(address, "--events")
        client.event("session_up")
        same((client.stop(), server.stop()), (0, 0))


def test_an_error_output_that_nobody_reads_does_not_hold_it_up(bench):
    reading, writing = os.pipe()
    control = Controlled(bench, stderr=writing)
    os.close(writing)
    fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, 4096)
    bench.file("server.json", "{")
    for _ in range(5):
        for _ in range(60):  # 50 bytes each
            control.server.signal(signal.SIGHUP)
            time.sleep(0.002)
        same(control.json("clients", "list")[0]["id"], "alice")
    same(control.server.stop(), 0)
    assert os.read(reading, 64).startswith(b"smartvpn: "), "it has complained of nothing"
    os.close(reading)


def test_a_control_folder_that_is_removed_is_anothers_to_make(bench):
    folder = os.path.join(bench.folder, "run")
    os.mkdir(folder)
    first = Controlled(bench, name="run/control.sock")
    shutil.rmtree(folder)
    assert healthy(first.address)
    second = Controlled(bench, name="run/control.sock")
    same(first.server.stop(), 0)
    assert os.path.exists(second.path), "the first has removed the second's"
    same(second.json("clients", "list")[0]["id"], "alice")
    same(second.server.stop(), 0)
    same(os.listdir(folder), [])


def test_a_store_whose_file_is_removed_or_replaced_takes_nothing_until_it_is_back(bench):
    store = os.path.join(bench.folder, "registry.db")
    control = Controlled(bench, bench.server_config(registry={"store": "sqlite", "path": store}))
    control.good("clients", "add", "bob")
    for suffix in ("", "-wal"):
        for instead in (None, b"", b"something else"):
            os.rename(store + suffix, store + ".away")
            if instead is not None:
                with open(store + suffix, "wb") as file:
                    file.write(instead)
            said = control.bad(1, "clients", "add", "carol")
            assert store + suffix in said and ("removed" if instead is None else "replaced") in said, said
            assert healthy(control.address)
            os.rename(store + ".away", store + suffix)
    control.good("clients", "add", "carol")
    same(control.server.stop(), 0)
    control = Controlled(bench, bench.server_config(registry={"store": "sqlite", "path": store}))
    same(sorted(client["id"] for client in control.json("clients", "list")), ["alice", "bob", "carol"])
    same(control.server.stop(), 0)


class Clock:
    """A wall clock that can be set, for programs that are started with its environment."""

    def __init__(self, bench, name):
        self.path = os.path.join(bench.folder, name)
        self.set(0)
        self.options = {"env": {**os.environ, "LD_PRELOAD": os.environ["SMARTVPN_CLOCK_SHIM"], "CLOCK_SHIM": self.path}}

    def set(self, seconds):
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT)
        os.pwrite(fd, struct.pack("=q", seconds), 0)
        os.close(fd)


def rfc3339(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def test_a_wall_clock_that_jumps_ends_who_has_expired_and_nobody_else(bench):
    clock = Clock(bench, "server.clock")
    bob = bench.keys()
    config = bench.server_config()
    config["clients"].append({"id": "bob", "noise_public_key": bob["public_key"], "expires_at": rfc3339(HOUR)})
    server, address = bench.serve(config, **clock.options)
    alice = bench.connect(address, "--events")
    alice.event("session_up")
    server.event("session_up", client_id="alice")
    bench.client_key = bob

    def comes_in():
        client = bench.connect(address, "--events")
        client.event("session_up")
        server.event("session_up", client_id="bob")
        return client

    began = time.monotonic()
    client = comes_in()
    clock.set(2 * HOUR)
    same(server.event("session_down")["client_id"], "bob")
    same(client.event("session_down")["reason"], "client_expired")
    same(client.exit_code(), 1)
    for years in (-20, -40, 0):  # also to before the host was made
        clock.set(years * YEAR)
        client = comes_in()
        time.sleep(1.2)  # a turn of the server's own watch
        same(client.stop(), 0)
        down = server.event("session_down")
        same((down["client_id"], down["reason"]), ("bob", "peer_closed"))
        assert down["duration_ms"] < (time.monotonic() - began) * 1000, down
    clock.set(20 * YEAR)
    time.sleep(1.2)
    same(alice.process.poll(), None)
    clock.set(-20 * YEAR)
    same(alice.stop(), 0)
    down = server.event("session_down")
    assert 1000 < down["duration_ms"] < (time.monotonic() - began) * 1000 + 5000, down
    with open(f"/proc/{server.process.pid}/stat") as file:
        ticks = sum(int(field) for field in file.read().rsplit(")", 1)[1].split()[11:13])
    assert ticks / os.sysconf("SC_CLK_TCK") < 2, ticks
    same(server.stop(), 0)


def test_a_tunnel_judges_certificates_by_the_clock_of_the_moment(bench):
    chain, key = certificate(bench.folder, "server")
    config = bench.server_config()
    config["listen"][0]["tls"] = {"certificate": chain, "key": key}
    server, address = bench.serve(config)
    clock = Clock(bench, "client.clock")
    clock.set(YEAR)
    tunnel = bench.tunnel_config(address, server=f"wss://{address}/tunnel", tls={"ca": chain})
    client = bench.start("connect", "--config", bench.file("tunnel.json", tunnel), "--events", **clock.options)
    same(client.event("log", message="no connection")["reason"], "tls_failed")
    clock.set(-YEAR)
    time.sleep(0.5)
    while client.event("log", message="no connection")["time"] > (time.time() - YEAR / 2) * 1000:
        pass  # of before
    clock.set(0)
    client.event("session_up")
    clock.set(YEAR)  # a session that stands is not judged again
    time.sleep(1.2)
    clock.set(0)
    same(client.stop(), 0)
    down = client.event("session_down")
    assert down["duration_ms"] < 60_000, down
    same(server.stop(), 0)


if __name__ == "__main__":
    main("cli.environment", sys.modules[__name__])
