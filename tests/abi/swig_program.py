"""The generated module in use: create, start, take one event, free."""
import base64
import json
import os

import smartvpn_test as vpn

key = base64.b64encode(os.urandom(32)).decode()
config = vpn.config_from(json.dumps({
    "listen": [{"transport": "websocket", "address": "127.0.0.1", "port": 0}],
    "keys": {"noise_private_key": key},
    "network": {"subnets": ["10.8.0.0/24"]},
    "forwarding": {"mode": "testing"},
}))
assert config is not None
server = vpn.server_of(config)
assert server is not None
assert vpn.smartvpn_config_free(config) == vpn.SMARTVPN_OK

events = vpn.events_of(server)
assert vpn.smartvpn_server_state(server) == vpn.SMARTVPN_SERVER_CREATED
assert vpn.smartvpn_server_start(server, None) == vpn.SMARTVPN_OK
event = vpn.next_of(events)
told = json.loads(vpn.smartvpn_event_json(event))
assert told["type"] == vpn.smartvpn_event_text(event, "type"), told
assert told["time"] > 1_600_000_000_000, told
print(told)

assert vpn.smartvpn_event_free(event) == vpn.SMARTVPN_OK
assert vpn.smartvpn_event_free(event) == vpn.SMARTVPN_BAD_HANDLE
assert vpn.smartvpn_server_free(server) == vpn.SMARTVPN_OK
assert vpn.smartvpn_server_free(server) == vpn.SMARTVPN_BAD_HANDLE
assert vpn.smartvpn_events_free(events) == vpn.SMARTVPN_OK
assert vpn.smartvpn_version() == vpn.SMARTVPN_VERSION_STRING
assert vpn.SMARTVPN_EVENTS_ALL == 2**64 - 1
