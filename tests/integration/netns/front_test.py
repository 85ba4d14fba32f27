"""The server behind stock front ends: HAProxy (send-proxy, send-proxy-v2, send-proxy-v2-ssl, health checks)
and nginx, as stream and as HTTP proxy. Each time the host must see the client's real address, not the proxy's."""
import json
import sys
import unittest

from netns import World, client_config, listening, run, self_signed, server_config, wait_until

SMARTVPN = sys.argv.pop(1)
TRUSTED = {"trusted_proxies": ["127.0.0.0/8"]}

HAPROXY = """
global
  log stdout format raw local0
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  default-server inter 200ms fall 2 rise 1
frontend front
  bind 198.51.100.1:443 {bind}
  bind [2001:db8:100::1]:443 {bind}
  default_backend vpn
backend vpn
  {backend}
  server vpn 127.0.0.1:8443 {server}
listen stats
  bind 127.0.0.1:8404
  mode http
  stats enable
  stats uri /
"""

NGINX = """
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx-error.log; worker_processes 1;
events {{}}
stream {{ server {{ listen 198.51.100.1:443; proxy_pass 127.0.0.1:8443; proxy_protocol on; }} }}
"""

NGINX_HTTP = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx-error.log; worker_processes 1;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 198.51.100.1:443; listen [2001:db8:100::1]:443;
    location / {{
      proxy_pass http://127.0.0.1:8443;
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
      {header}
    }}
  }}
}}
"""
FORWARDED_FOR = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"


def http_listen(header, address="127.0.0.1"):
    return [{"transport": "websocket", "address": address, "port": 8443, "real_ip_header": header,
             "real_ip_trusted_proxies": ["127.0.0.0/8"]}]


def listen(mode, **extra):
    return [{"transport": "websocket", "address": "127.0.0.1", "port": 8443,
             "proxy_protocol": {"mode": mode, **TRUSTED, **extra}}]


class Front(unittest.TestCase):
    def world(self):
        world = World(SMARTVPN)
        world.__enter__()
        self.addCleanup(lambda: world.__exit__(*(sys.exc_info() if self._failed() else (None, None, None))))
        return world

    def _failed(self):
        return any(error for _, error in getattr(self._outcome, "errors", []) or []) or not getattr(self._outcome, "success", True)

    def haproxy(self, world, bind="", server="", backend=""):
        path = world.write("haproxy.cfg", HAPROXY.format(bind=bind, server=server, backend=backend))
        world.start(["haproxy", "-db", "-f", path], world.edge, "haproxy")
        wait_until(listening(world, 443), "haproxy listens")

    def nginx(self, world, config):
        path = world.write("nginx.conf", config)
        world.start(["nginx", "-c", path, "-p", world.folder], world.edge, "nginx")
        wait_until(listening(world, 443), "nginx listens")

    def forged_upgrade(self, world, *headers):
        """The status of an upgrade through nginx that brings header lines of its own."""
        fields = ["Upgrade: websocket", "Connection: upgrade", "Sec-WebSocket-Version: 13",
                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol: smartvpn.v1", *headers]
        arguments = [argument for field in fields for argument in ("-H", field)]
        # An upgraded connection stays open, so that curl's own time is over in the end.
        return world.in_client(["sh", "-c", 'curl -s -m 1 -o /dev/null -w "%{http_code}" "$@" || true', "sh", *arguments,
                                "http://198.51.100.1:443/tunnel"])

    def check_session(self, world, server, url, keys, real="198.51.100.7", **client):
        tunnel = world.connect(client_config(url, *keys, **client))
        up = server.wait_event("session_up")
        self.assertEqual(up["client_id"], "alice")
        self.assertEqual(up["remote_addr"].rsplit(":", 1)[0], real)
        self.assertTrue(up["peer_addr"].startswith("127.0.0.1:"), up)
        self.assertEqual(up["addresses"][0], "10.8.0.2")
        tunnel.wait_event("session_up")
        world.in_client(["ping", "-c", "3", "-i", "0.2", "-W", "5", "10.8.0.1"])
        world.in_client(["ping", "-6", "-c", "3", "-i", "0.2", "-W", "5", "fd00:8::1"])
        return up

    def test_haproxy_send_proxy_v1(self):
        world = self.world()
        config, *keys = server_config(world, listen("v1"))
        server = world.serve(config)
        self.haproxy(world, server="send-proxy")
        self.check_session(world, server, "ws://198.51.100.1:443/tunnel", keys)

    def test_haproxy_send_proxy_v2_both_families(self):
        world = self.world()
        config, *keys = server_config(world, listen("v2"))
        server = world.serve(config)
        self.haproxy(world, server="send-proxy-v2")
        self.check_session(world, server, "ws://[2001:db8:100::1]:443/tunnel", keys, real="[2001:db8:100::7]")
        world.programs[-1].stop()
        server.wait_event("session_down")
        server.events.clear()
        self.check_session(world, server, "ws://198.51.100.1:443/tunnel", keys)

    def test_haproxy_send_proxy_v2_ssl_hands_on_what_tls_said(self):
        world = self.world()
        pin = self_signed(world)
        config, *keys = server_config(world, listen("v2"))
        server = world.serve(config)
        self.haproxy(world, bind=f"ssl crt {world.path('both.pem')}",
                     server="send-proxy-v2-ssl proxy-v2-options ssl,ssl-cipher,authority,crc32c")
        up = self.check_session(world, server, "wss://198.51.100.1:443/tunnel", keys,
                                tls={"pinned_sha256": pin, "server_name": "edge.test"})
        self.assertEqual(up["tlvs"]["authority"], "edge.test")
        self.assertIn("tls", up["tlvs"]["ssl"])
        self.assertTrue(up["tlvs"]["ssl.version"].startswith("TLSv1."))

    def test_haproxy_passes_tls_through_to_the_servers_own(self):
        world = self.world()
        pin = self_signed(world)
        addresses = listen("v2")
        addresses[0]["tls"] = {"certificate": world.path("cert.pem"), "key": world.path("key.pem")}
        config, *keys = server_config(world, addresses)
        server = world.serve(config)
        self.haproxy(world, server="send-proxy-v2")
        self.check_session(world, server, "wss://198.51.100.1:443/tunnel", keys, tls={"pinned_sha256": pin})

    def test_haproxy_health_checks_see_the_server_up(self):
        for local, backend in (("health", "option httpchk GET /healthz"), ("close", "")):
            with self.subTest(local=local):
                world = World(SMARTVPN)
                with world:
                    config, *keys = server_config(world, listen("v2", local=local))
                    server = world.serve(config)
                    self.haproxy(world, server="send-proxy-v2 check check-send-proxy", backend=backend)
                    status = lambda: world.in_edge(["curl", "-s", "-m", "5", "http://127.0.0.1:8404/;csv"])
                    wait_until(lambda: any(line.startswith("vpn,vpn,") and (",L7OK," in line or ",L4OK," in line)
                                           for line in status().splitlines()), "haproxy's check succeeds")
                    self.check_session(world, server, "ws://198.51.100.1:443/tunnel", keys)
                    self.assertFalse([e for e in server.events if e["type"] == "connection_rejected"])

    def test_nginx_stream(self):
        world = self.world()
        config, *keys = server_config(world, listen("v1"))
        server = world.serve(config)
        path = world.write("nginx.conf", NGINX.format(folder=world.folder))
        world.start(["nginx", "-c", path, "-p", world.folder], world.edge, "nginx")
        wait_until(listening(world, 443), "nginx listens")
        self.check_session(world, server, "ws://198.51.100.1:443/tunnel", keys)

    def test_nginx_http_proxy_pass_tells_the_client_in_both_families(self):
        world = self.world()
        config, *keys = server_config(world, http_listen("x-forwarded-for"))
        server = world.serve(config)
        self.nginx(world, NGINX_HTTP.format(folder=world.folder, header=FORWARDED_FOR))
        up = self.check_session(world, server, "ws://198.51.100.1:443/tunnel", keys)
        self.assertEqual(up["remote_addr"], "198.51.100.7:0")
        world.programs[-1].stop()
        server.wait_event("session_down")
        server.events.clear()
        self.check_session(world, server, "ws://[2001:db8:100::1]:443/tunnel", keys, real="[2001:db8:100::7]")

    def test_a_client_that_forges_x_forwarded_for_is_who_nginx_saw(self):
        world = self.world()
        config, *keys = server_config(world, http_listen("x-forwarded-for"),
                                      security={"connection_ip_block_list": ["198.51.100.7", "2001:db8:100::7"]})
        server = world.serve(config)
        self.nginx(world, NGINX_HTTP.format(folder=world.folder, header=FORWARDED_FOR))
        for forged in ("203.0.113.9", "127.0.0.1", "unknown", "203.0.113.9, 127.0.0.1, 127.0.0.1", '"'):
            self.assertEqual(self.forged_upgrade(world, f"X-Forwarded-For: {forged}"), "403", forged)
        rejected = server.wait_event("connection_rejected", reason="ip_block_list")
        self.assertEqual(rejected["remote_addr"], "198.51.100.7:0")
        self.assertFalse([e for e in server.events if "203.0.113.9" in json.dumps(e)])

    def test_nginx_with_a_single_value_header_replaces_what_the_client_says(self):
        world = self.world()
        config, *keys = server_config(world, http_listen("x-real-ip"))
        server = world.serve(config)
        self.nginx(world, NGINX_HTTP.format(folder=world.folder, header="proxy_set_header X-Real-IP $remote_addr;"))
        self.assertEqual(self.forged_upgrade(world, "X-Real-IP: 203.0.113.9"), "101")
        accepted = server.wait_event("connection_accepted")
        self.assertEqual(accepted["remote_addr"], "198.51.100.7:0")
        self.check_session(world, server, "ws://198.51.100.1:443/tunnel", keys)

    def test_nginx_without_the_header_is_refused_and_its_health_check_is_not(self):
        world = self.world()
        config, *keys = server_config(world, http_listen("x-forwarded-for"))
        server = world.serve(config)
        self.nginx(world, NGINX_HTTP.format(folder=world.folder, header=""))
        self.assertEqual(self.forged_upgrade(world), "400")
        self.assertEqual(server.wait_event("connection_rejected")["reason"], "upgrade_malformed")
        self.assertEqual(world.in_edge(["curl", "-s", "-m", "5", "http://127.0.0.1:8443/healthz"]), "ok\n")

    def test_a_stranger_past_the_http_proxy_is_refused(self):
        world = self.world()
        config, *keys = server_config(world, http_listen("x-forwarded-for", address="198.51.100.1"))
        server = world.serve(config)
        world.connect(client_config("ws://198.51.100.1:8443/tunnel", *keys))
        self.assertEqual(server.wait_event("connection_rejected")["reason"], "untrusted_proxy")

    def test_a_blocked_address_is_refused_behind_haproxy_before_any_handshake(self):
        world = self.world()
        config, *keys = server_config(world, listen("v2"), security={"connection_ip_block_list": ["198.51.100.66"]})
        server = world.serve(config)
        self.haproxy(world, server="send-proxy-v2")
        run(["ip", "-n", world.client, "route", "replace", "198.51.100.1/32", "dev", "veth0", "src", "198.51.100.66"])
        world.connect(client_config("ws://198.51.100.1:443/tunnel", *keys))
        rejected = server.wait_event("connection_rejected", reason="ip_block_list")
        self.assertEqual(rejected["remote_addr"].rsplit(":", 1)[0], "198.51.100.66")
        self.assertFalse([e for e in server.events if e["type"] == "session_up"])

    def test_a_proxy_that_is_not_trusted_is_refused(self):
        world = self.world()
        config, *keys = server_config(world, [{"transport": "websocket", "address": "198.51.100.1", "port": 443,
                                               "proxy_protocol": {"mode": "v2", "trusted_proxies": ["203.0.113.9"]}}])
        server = world.serve(config)
        world.connect(client_config("ws://198.51.100.1:443/tunnel", *keys, proxy_protocol={"send": "v2"}))
        rejected = server.wait_event("connection_rejected")
        self.assertEqual(rejected["reason"], "untrusted_proxy")
        self.assertNotIn("remote_addr", rejected)


if __name__ == "__main__":
    unittest.main(verbosity=2)
