"""Every recipe of docs/COOKBOOK.md, with the very files that it quotes: only keys, certificates and folders, of which every
site has its own, are put in. Each time a client gets through, and the host sees its real address."""
import json
import os
import pathlib
import sys
import unittest

from netns import World, client_config, listening, run, self_signed, wait_until

SMARTVPN = sys.argv.pop(1)
ROOT = pathlib.Path(sys.argv.pop(1))
RECIPES = ROOT / "examples" / "proxy"
NAME = "vpn.example.com"


def recorded_headers():
    vectors = json.loads((ROOT / "tests/vectors/proxy_protocol_headers.json").read_text())
    headers = vectors if isinstance(vectors, list) else vectors["headers"]
    return {header["name"]: header["hex"] for header in headers}


class Cookbook(unittest.TestCase):
    def setUp(self):
        self.world = World(SMARTVPN)
        self.world.__enter__()
        self.passed = False
        self.addCleanup(lambda: self.world.__exit__(*((None, None, None) if self.passed else (Exception, None, None))))
        self.pin = self_signed(self.world, NAME)
        for suffix, parts in (("crt", ["cert.pem"]), ("key", ["key.pem"]), ("pem", ["cert.pem", "key.pem"])):
            self.world.write(f"vpn.{suffix}", "".join(pathlib.Path(self.world.path(part)).read_text() for part in parts))

    def recipe(self, name):
        text = (RECIPES / name).read_text()
        for folder in ("/etc/haproxy/", "/etc/nginx/", "/etc/smartvpn/"):
            text = text.replace(folder, self.world.folder + "/")
        return text

    def serve(self, name):
        server, client = self.world.keygen(), self.world.keygen()
        config = json.loads(self.recipe(name))
        config["keys"]["noise_private_key"] = server["private_key"]
        config["clients"] = [{"id": "alice", "noise_public_key": client["public_key"]}]
        self.keys = (server, client)
        self.server = self.world.serve(config)

    def nginx(self, top_level, *modules):
        load = "".join(f"load_module /usr/lib/nginx/modules/{module}; " for module in modules)
        text = (f"{load}daemon off; pid {self.world.folder}/nginx.pid; error_log {self.world.folder}/nginx-error.log; "
                f"worker_processes 1; events {{}}\n" + top_level)
        path = self.world.write("nginx.conf", text)
        self.world.start(["nginx", "-c", path, "-p", self.world.folder, "-e", self.world.path("nginx-error.log")],
                         self.world.edge, "nginx")
        wait_until(listening(self.world, 443), "nginx listens")

    def check(self, real="198.51.100.7", **fields):
        config = client_config("wss://198.51.100.1:443/tunnel", *self.keys, tun={"routes": False},
                               tls={"pinned_sha256": self.pin, "server_name": NAME})
        tunnel = self.world.connect(config)
        up = self.server.wait_event("session_up")
        self.assertEqual(up["remote_addr"].rsplit(":", 1)[0] if fields.get("port", True) else up["remote_addr"], real)
        tunnel.wait_event("session_up")
        self.world.in_client(["ip", "route", "replace", "10.8.0.0/24", "dev", "svtun"])
        self.world.in_client(["ping", "-c", "2", "-i", "0.2", "-W", "5", "10.8.0.1"])
        self.assertFalse([e for e in self.server.events if e["type"] == "connection_rejected"], self.server.events)
        self.passed = True
        return up

    def test_behind_haproxy(self):
        self.serve("server.json")
        path = self.world.write("haproxy.cfg", self.recipe("haproxy.cfg"))
        self.world.start(["haproxy", "-db", "-f", path], self.world.edge, "haproxy")
        wait_until(listening(self.world, 443), "haproxy listens")
        up = self.check()
        self.assertEqual(up["tlvs"]["authority"], NAME)

    def test_behind_nginx_stream(self):
        self.serve("server.json")
        self.nginx(self.recipe("nginx-stream.conf"), "ngx_stream_module.so")
        self.check()

    def test_behind_nginx_http(self):
        self.serve("server-http.json")
        self.nginx(self.recipe("nginx-http.conf"))
        self.check()

    def test_behind_an_aws_network_load_balancer(self):
        for address in ("10.0.1.5/32", "10.0.1.10/32"):
            run(["ip", "-n", self.world.edge, "addr", "add", address, "dev", "lo"])
        self.serve("server-nlb.json")
        headers = recorded_headers()
        stub = self.world.start(
            [sys.executable, "-B", os.path.join(os.path.dirname(__file__), "nlb_stub.py"), "198.51.100.1:443", "10.0.1.5",
             "10.0.1.10:8443", headers["aws-nlb-vpc-endpoint-capture"], headers["aws-nlb-health-check"]],
            self.world.edge, "nlb")
        stub.wait_event("ready")
        up = self.check(real="192.168.44.10")
        self.assertEqual(up["remote_addr"], "192.168.44.10:52286")
        self.assertTrue(up["peer_addr"].startswith("10.0.1.5:"), up)
        self.assertEqual(up["tlvs"]["aws_vpce_id"], "vpce-00eafc458ec97b833")

    def test_direct_with_tls(self):
        self.serve("server-direct.json")
        self.check()


if __name__ == "__main__":
    unittest.main(verbosity=2)
