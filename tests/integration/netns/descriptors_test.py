"""A host in Python that is started as a service manager would start it: a socket and a device are opened with privilege,
which is then dropped for good, and the library is loaded and serves on the two descriptors."""
import signal
import sys
import unittest

from netns import World, client_config

SMARTVPN, LIBRARY = sys.argv.pop(1), sys.argv.pop(1)
HOST = """
import ctypes, fcntl, json, os, signal, socket, struct, subprocess, sys
vpn = ctypes.CDLL(sys.argv[1])
config = json.load(open(sys.argv[2]))
tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, 0x400454ca, struct.pack("16sH22x", b"svhost", 0x1001 | 0x4000))  # TUNSETIFF: TUN, NO_PI, VNET_HDR
for command in ("addr add 10.8.0.1/24 dev svhost", "addr add fd00:8::1/64 dev svhost nodad", "link set svhost up"):
    subprocess.run(["ip"] + command.split(), check=True)
listening = socket.create_server(("::", 443), family=socket.AF_INET6, dualstack_ipv6=True)
config["listen"][0]["fd"], config["tun"]["fd"] = listening.fileno(), tun
os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)

def call(name, *args):
    error = ctypes.c_void_p()
    status = getattr(vpn, name)(*args, ctypes.byref(error))
    if status != 0:
        vpn.smartvpn_error_text.restype = ctypes.c_char_p
        sys.exit(f"{name}: {status} {vpn.smartvpn_error_text(error).decode()}")

signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
text, handle, server = json.dumps(config).encode(), ctypes.c_void_p(), ctypes.c_void_p()
call("smartvpn_config_from_json", 0, text, ctypes.c_size_t(len(text)), ctypes.byref(handle))
call("smartvpn_server_create", handle, ctypes.byref(server))
call("smartvpn_server_start", server)
print(json.dumps({"type": "started", "uid": os.getuid(), "caps": open("/proc/self/status").read().split("CapEff:")[1].split()[0]}), flush=True)
signal.sigwait([signal.SIGTERM])
assert vpn.smartvpn_server_free(server) == 0
# The host's own are still there for it.
assert fcntl.fcntl(tun, fcntl.F_GETFD) == fcntl.FD_CLOEXEC
assert "inet 10.8.0.1/24" in subprocess.run(["ip", "addr", "show", "svhost"], capture_output=True, text=True).stdout
"""


class Descriptors(unittest.TestCase):
    def test_a_python_host_without_privilege_serves_on_what_it_was_given(self):
        with World(SMARTVPN) as world:
            server, client = world.keygen(), world.keygen()
            config = {"listen": [{"transport": "websocket"}], "keys": {"noise_private_key": server["private_key"]}, "tun": {},
                      "network": {"subnets": ["10.8.0.0/24", "fd00:8::/64"]},
                      "clients": [{"id": "alice", "noise_public_key": client["public_key"]}]}
            host = world.start([sys.executable, "-c", HOST, LIBRARY, world.write("host.json", config)], world.edge, "host")
            started = host.wait_event("started")
            self.assertEqual((started["uid"], int(started["caps"], 16)), (65534, 0))
            for url in ("ws://198.51.100.1:443/tunnel", "ws://[2001:db8:100::1]:443/tunnel"):
                tunnel = world.connect(client_config(url, server, client))
                tunnel.wait_event("session_up")
                world.in_client(["ping", "-c", "2", "-i", "0.2", "-W", "5", "10.8.0.1"])
                world.in_client(["ping", "-6", "-c", "2", "-i", "0.2", "-W", "5", "fd00:8::1"])
                tunnel.stop()
            self.assertEqual(host.stop(signal.SIGTERM), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
