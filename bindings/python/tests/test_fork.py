"""Forked children: what belongs to the parent says so, closing it is fine, and a new server works."""

from __future__ import annotations

from support import expect_clean

COMMON = """
import gc, os, sys
import smartvpn
from support import make_server, make_tunnel

def in_child(body):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        body()
        gc.collect()
        sys.stdout.flush()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
"""


def test_child_is_cut_off_and_parent_goes_on() -> None:
    expect_clean(
        COMMON
        + """
server = make_server("host")
server.start()
events, packets, stats = server.events(), server.packets(), server.stats
changes = server.clients.transaction()
tunnel = make_tunnel(server)
tunnel.connect(20)

def child():
    for use in (server.start, server.stop, server.clients.list, events.next, packets.read,
                lambda: server.state, lambda: list(events), lambda: stats.sessions_now, tunnel.connect,
                lambda: server.stats, lambda: changes.create("bob"), lambda: server.events()):
        try:
            use()
            os._exit(3)
        except smartvpn.ForkedError as error:
            assert "parent process" in str(error), error
    assert "parent process" in repr(server)
    for thing in (events, server, tunnel, changes, server, tunnel):
        thing.close()
    with make_server("host") as mine, make_tunnel(mine) as mine_too:
        assert len(mine.sessions) == 1 and mine_too.state == "connected"

in_child(child)
assert server.state == "running" and tunnel.state == "connected" and len(server.sessions) == 1
in_child(lambda: None)
tunnel.close()
server.close()
print("fine")
"""
    ) == "fine\n"


def test_objects_collected_in_a_child_go_silently() -> None:
    expect_clean(
        COMMON
        + """
things = [make_server("host")]
things[0].start()
things += [things[0].events(), things[0].stats, make_tunnel(things[0])]
things[3].connect(20)
in_child(things.clear)
assert things[0].state == "running" and things[3].state == "connected"
things[3].close()
things[0].close()
"""
    )


def test_a_child_that_exits_normally_leaves_the_parent_alone() -> None:
    expect_clean("""
import os, sys
from support import make_server
server = make_server()
server.start()
events = server.events("client_changed")
if os.fork() == 0:
    sys.exit(0)  # with all its handlers of exit
assert os.wait()[1] == 0
server.clients.create("alice")
assert events.next(20).client_id == "alice"
server.close()
""")


def test_fork_while_other_threads_wait() -> None:
    expect_clean(
        COMMON
        + """
import threading
server = make_server("host", security=smartvpn.Security(authorize="required"))
server.authorize(lambda request: True)
server.start()
events = server.events()
waiting = [threading.Thread(target=lambda: list(source)) for source in (events, server.packets())]
for thread in waiting:
    thread.start()

def child():
    events.close()
    server.close()
    with make_server() as mine:
        assert mine.clients.create("alice").id == "alice"

for _ in range(20):
    in_child(child)
server.close()
for thread in waiting:
    thread.join(20)
    assert not thread.is_alive()
"""
    )


def test_multiprocessing_by_fork() -> None:
    expect_clean("""
import multiprocessing
from support import make_server, make_tunnel

def work(queue):
    with make_server("host") as mine, make_tunnel(mine):
        queue.put(len(mine.sessions))

server = make_server()
server.start()
context = multiprocessing.get_context("fork")
queue = context.Queue()
workers = [context.Process(target=work, args=(queue,)) for _ in range(3)]
for worker in workers:
    worker.start()
assert [queue.get(timeout=20) for _ in workers] == [1, 1, 1]
for worker in workers:
    worker.join(20)
    assert worker.exitcode == 0
assert server.state == "running"
server.close()
""")


def test_prefork_as_web_servers_do_it() -> None:
    """The master imports, makes a server and never starts it; each worker makes and runs its own."""
    expect_clean(
        COMMON
        + """
master = make_server()

def worker():
    try:
        master.start()
        os._exit(3)
    except smartvpn.ForkedError:
        pass
    with make_server() as mine:
        mine.clients.create("alice")

for _ in range(3):
    in_child(worker)
master.start()
master.close()
"""
    )


def test_subprocesses_inherit_nothing() -> None:
    expect_clean("""
import subprocess, sys
from support import make_server
server = make_server("host")
server.start()
streams = [server.events() for _ in range(5)]
listing = "import os; print(sorted(int(n) for n in os.listdir('/proc/self/fd'))[3:])"
command = [sys.executable, "-c", listing]
found = subprocess.run(command, close_fds=False, capture_output=True, text=True, check=True)
assert len(found.stdout.split(",")) == 1, found.stdout  # the listing's own
server.close()
""")
