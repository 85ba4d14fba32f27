"""The way between tunnel and server fails and comes back: links, addresses, losses, narrow lines, proxies and servers
that are killed, processes that sleep. Sessions stay or come back by themselves, with their inner addresses.

With SMARTVPN_SIEGE=1 outages and sleeps last a minute, losses take every figure from 1 to 10 %, and lines are narrow."""
import os
import re
import signal
import sys
import time
import unittest

from netns import World, client_config, listening, run, server_config, wait_until

SMARTVPN = sys.argv.pop(1)
SIEGE = os.environ.get("SMARTVPN_SIEGE") == "1"
LISTEN = [{"transport": "websocket", "address": "::", "port": 8443}]
DIRECT, THROUGH = "ws://198.51.100.1:8443/tunnel", "ws://198.51.100.1:443/tunnel"
INNER = ["10.8.0.2", "fd00:8::2"]
DEAD_AFTER = 16  # an interval of a second and fifteen for the answer

HAPROXY = """
defaults
  mode tcp
  timeout connect 5s
  timeout client 300s
  timeout server 300s
frontend front
  bind 198.51.100.1:443
  default_backend vpn
backend vpn
  server vpn 127.0.0.1:8443 send-proxy-v2
"""
NGINX = """
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx-error.log;
events {{}}
stream {{ server {{ listen 198.51.100.1:443; proxy_pass 127.0.0.1:8443; proxy_protocol on; }} }}
"""
LOSSY = """
table inet lossy {{
  chain in {{ type filter hook input priority 0; iifname "veth0" numgen random mod 100 < {percent} drop; }}
  chain out {{ type filter hook output priority 0; oifname "veth0" numgen random mod 100 < {percent} drop; }}
}}
"""


def processor_seconds(program):
    with open(f"/proc/{program.process.pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Network(unittest.TestCase):
    def setUp(self):
        self.world = World(SMARTVPN)
        self.world.__enter__()
        self.addCleanup(self.world.__exit__, None, None, None)

    def up(self, listen=None, url=DIRECT):
        listen = listen or LISTEN
        self.config, *self.keys = server_config(self.world, listen, tun={"name": "svserver"},
                                                session={"keepalive_interval_ms": 1000})
        self.server = self.world.serve(self.config)
        self.connect(url)

    def connect(self, url):
        self.tunnel = self.world.connect(client_config(url, *self.keys, keepalive_interval_ms=1000,
                                                       reconnect={"initial_ms": 100, "max_ms": 1000}))
        self.assertEqual(self.tunnel.wait_event("session_up")["addresses"], INNER)
        self.answers()

    def answers(self):
        self.world.in_client(["ping", "-c", "1", "-W", "10", "10.8.0.1"])

    def count(self, program, kind):
        program.pump()
        return len([e for e in program.events if e["type"] == kind])

    def comes_back(self, since, what, timeout=60):
        """Waits for the next session after `since` of them; it has the same addresses. Prints how long that took."""
        began = time.monotonic()
        wait_until(lambda: self.count(self.tunnel, "session_up") > since, f"{what}: a session again", timeout)
        ups = [e for e in self.tunnel.events if e["type"] == "session_up"]
        self.assertEqual(ups[-1]["addresses"], INNER)
        self.answers()
        print(f"{what}: back after {time.monotonic() - began:.2f} s, "
              f"{self.count(self.tunnel, 'log')} attempts in vain", flush=True)

    def pings(self, seconds, between):
        """Pings ten times a second for so long, does something meanwhile, and tells what was lost."""
        count = int(seconds * 10)
        program = self.world.start(["ping", "-i", "0.1", "-c", str(count), "-W", "5", "10.8.0.1"], self.world.client, "ping")
        between()
        text = b""
        deadline = time.monotonic() + seconds + 30
        while program.process.poll() is None and time.monotonic() < deadline:
            text += program.process.stdout.read() or b""
            time.sleep(0.05)
        text += program.process.stdout.read() or b""
        return count - int(re.search(r"(\d+) received", text.decode()).group(1)), count

    def test_a_link_that_is_down_for_a_while_costs_packets_and_no_session(self):
        self.up()
        def outage():
            run(["ip", "-n", self.world.client, "link", "set", "veth0", "down"])
            time.sleep(1.5)
            run(["ip", "-n", self.world.client, "link", "set", "veth0", "up"])
        lost, sent = self.pings(3, outage)
        print(f"link down for 1.5 s: {lost} of {sent} pings lost", flush=True)
        self.assertEqual((self.count(self.tunnel, "session_up"), self.count(self.tunnel, "session_down")), (1, 0))
        self.answers()

    @unittest.skipUnless(SIEGE, "a peer is dead after sixteen seconds only")
    def test_a_client_that_has_moved_comes_back_from_its_new_address(self):
        self.up()
        run(["ip", "-n", self.world.client, "link", "set", "veth0", "down"])
        run(["ip", "-n", self.world.client, "addr", "flush", "dev", "veth0"])
        time.sleep(60)
        run(["ip", "-n", self.world.client, "addr", "add", "198.51.100.123/24", "dev", "veth0"])
        run(["ip", "-n", self.world.client, "link", "set", "veth0", "up"])
        self.comes_back(1, "another address", 60 + DEAD_AFTER)
        self.server.pump()
        up = [e for e in self.server.events if e["type"] == "session_up"][-1]
        self.assertTrue(up["remote_addr"].startswith("198.51.100.123:"), up)
        # The old session is never beside the new one.
        self.server.wait_event("session_down")

    def tc(self, *commands):
        for namespace in (self.world.client, self.world.edge):
            for words in commands:
                run(["tc", "-n", namespace, *words])

    def transfer(self, size):
        """Bytes a second of one download through the tunnel, which must arrive whole."""
        self.world.write("blob", "x" * size)
        web = self.world.start(["/usr/bin/python3", "-m", "http.server", "-d", self.world.folder, "--bind", "192.0.2.1", "8080"],
                               self.world.edge, "web")
        wait_until(listening(self.world, 8080), "the web server listens")
        began = time.monotonic()
        got = self.world.in_client(["curl", "-s", "-m", "60", "-o", "/dev/null", "-w", "%{size_download}",
                                    "http://192.0.2.1:8080/blob"], timeout=70)
        seconds = time.monotonic() - began
        web.stop(signal.SIGKILL)
        self.assertEqual(int(got), size)
        return size / seconds

    def with_far_host(self):
        run(["ip", "-n", self.world.edge, "addr", "add", "192.0.2.1/32", "dev", "lo"])
        self.world.in_edge(["sysctl", "-qw", "net.ipv4.ip_forward=1"])
        run(["ip", "-n", self.world.client, "route", "add", "192.0.2.1/32", "dev", "svtun"])

    def test_losses_in_both_directions_cost_time_and_nothing_else(self):
        self.up()
        self.with_far_host()
        for percent in range(1, 11) if SIEGE else (10,):
            rules = self.world.write("lossy.nft", LOSSY.format(percent=percent))
            self.world.in_edge(["nft", "-f", rules])
            lost, sent = self.pings(1, lambda: None)
            rate = self.transfer(300_000)
            self.world.in_edge(["nft", "delete", "table", "inet", "lossy"])
            print(f"{percent} % lost each way: {lost} of {sent} pings lost, {rate / 1000:.0f} kB/s", flush=True)
            self.assertLessEqual(lost, sent // 4)
        self.assertEqual((self.count(self.tunnel, "session_up"), self.count(self.tunnel, "session_down")), (1, 0))

    @unittest.skipUnless(SIEGE, "rates and delays are the matter of traffic_test.py")
    def test_narrow_lines_keep_the_session_and_its_answers(self):
        self.up()
        self.with_far_host()
        for name, commands in (("TBF 4 Mbit/s", [("qdisc", "add", "dev", "veth0", "root", "tbf", "rate", "4mbit", "burst", "16kb",
                                                 "latency", "100ms")]),
                               ("HTB 2 Mbit/s", [("qdisc", "add", "dev", "veth0", "root", "handle", "1:", "htb", "default", "1"),
                                                 ("class", "add", "dev", "veth0", "parent", "1:", "classid", "1:1", "htb",
                                                  "rate", "2mbit")])):
            self.tc(*commands)
            rates = []
            lost, sent = self.pings(2, lambda: rates.append(self.transfer(400_000)))
            self.tc(("qdisc", "del", "dev", "veth0", "root"))
            print(f"{name}: {lost} of {sent} pings lost beside {rates[0] * 8 / 1e6:.2f} Mbit/s", flush=True)
            self.assertLessEqual(lost, sent // 4)
        self.assertEqual((self.count(self.tunnel, "session_up"), self.count(self.tunnel, "session_down")), (1, 0))

    def test_a_proxy_that_is_killed_takes_sessions_along_and_they_come_back(self):
        proxied = [{"transport": "websocket", "address": "127.0.0.1", "port": 8443,
                    "proxy_protocol": {"mode": "any", "trusted_proxies": ["127.0.0.0/8"]}}]
        fronts = {"haproxy": ["haproxy", "-db", "-f", self.world.write("haproxy.cfg", HAPROXY)],
                  "nginx": ["nginx", "-p", self.world.folder, "-c",
                            self.world.write("nginx.conf", NGINX.format(folder=self.world.folder))]}
        front = None
        for name, command in fronts.items():
            start = lambda: self.world.start(command, self.world.edge, name)
            if front:
                front.stop(signal.SIGKILL)  # the one after the other: another neighbour in the same place
            front = start()
            wait_until(listening(self.world, 443), f"{name} listens")
            if name == "haproxy":
                self.up(proxied, THROUGH)
            sessions = self.count(self.tunnel, "session_up")
            for _ in range(5 if SIEGE else 1):
                front.stop(signal.SIGKILL)
                wait_until(lambda: self.count(self.server, "session_down") >= sessions, "the server has noticed")
                front = start()
                self.comes_back(sessions, f"{name} killed")
                sessions = self.count(self.tunnel, "session_up")
        self.server.pump()
        up = [e for e in self.server.events if e["type"] == "session_up"][-1]
        self.assertTrue(up["remote_addr"].startswith("198.51.100.7:"), up)

    def test_both_ends_killed_and_started_again_find_each_other(self):
        self.up()
        self.server.stop(signal.SIGKILL)
        wait_until(lambda: self.count(self.tunnel, "session_down") == 1, "the tunnel has noticed")
        self.server = self.world.serve(self.config)
        self.comes_back(1, "server killed and restarted")
        self.tunnel.stop(signal.SIGKILL)
        self.server.stop(signal.SIGKILL)
        self.server = self.world.serve(self.config)
        began = time.monotonic()
        self.connect(DIRECT)
        print(f"both killed and restarted: connected after {time.monotonic() - began:.2f} s", flush=True)

    def check_sleep(self, sleepers, seconds):
        """Sessions survive it, or come back; nobody works off what was missed."""
        self.up()
        names = " and ".join(sleepers)
        programs = [{"server": self.server, "tunnel": self.tunnel}[name] for name in sleepers]
        for program in programs:
            program.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        before = [processor_seconds(program) for program in programs]
        for program in programs:
            program.process.send_signal(signal.SIGCONT)
        began = time.monotonic()
        def alive():
            try:
                self.world.in_client(["ping", "-c", "1", "-W", "1", "10.8.0.1"])
                return True
            except AssertionError:
                return False
        wait_until(alive, f"{names} asleep: the tunnel works again", 30)
        back = time.monotonic() - began
        time.sleep(1)
        work = max(processor_seconds(program) - b for program, b in zip(programs, before))
        self.tunnel.pump()
        ups = [e for e in self.tunnel.events if e["type"] == "session_up"]
        self.assertEqual(ups[-1]["addresses"], INNER)
        self.assertLess(work, 1.0)
        self.assertLessEqual(len(ups), 2)
        print(f"{names} asleep for {seconds} s: {'the session stayed' if len(ups) == 1 else 'a new session'}, answers "
              f"after {back:.2f} s, {work * 1000:.0f} ms of work, {self.count(self.tunnel, 'log')} attempts in vain", flush=True)
        if seconds < DEAD_AFTER:
            self.assertEqual(len(ups), 1)

    def test_both_asleep(self):
        self.check_sleep(("server", "tunnel"), 60 if SIEGE else 3)

    @unittest.skipUnless(SIEGE, "a minute each")
    def test_the_server_asleep(self):
        self.check_sleep(("server",), 60)

    @unittest.skipUnless(SIEGE, "a minute each")
    def test_the_tunnel_asleep(self):
        self.check_sleep(("tunnel",), 60)


if __name__ == "__main__":
    unittest.main(verbosity=2)
