-- The module that SWIG makes for Lua: a server, a client, an event, an error with its path and text; a relay.
local vpn = require("smartvpn")

local json = ([[{"listen": [{"transport": "websocket", "address": "127.0.0.1", "port": 0}],
  "keys": {"noise_private_key": "%s"}, "network": {"subnets": ["10.8.0.0/24"]},
  "forwarding": {"mode": "testing"}}]]):format(vpn.key_generate())
local config = vpn.config_from_json(vpn.CONFIG_SERVER, json)
local server = vpn.server_create(config)
local events = vpn.events_open(server, -1, 64)
vpn.server_start(server)
assert(vpn.server_state(server) == vpn.SERVER_RUNNING)

local event = vpn.events_next(events, 10000)
assert(vpn.event_type(event) == vpn.EVENT_LISTENING)
assert(vpn.event_text(event, "type") == "listening")
assert(vpn.event_text(event, "nothing") == nil)
assert(vpn.event_u64(event, "time") > 1600000000000)
print(vpn.event_json(event))
vpn.event_free(event)

local made = vpn.client_create(server, '{"id": "alice"}')
assert(#vpn.credentials_private_key(made) == 44)
local kept, exported = vpn.client_export(server, "alice", vpn.EXPORT_NATIVE)
assert(kept == false and exported:find('"noise_private_key": ""', 1, true))
assert(vpn.registry_revision(server) == 1)
for number = 1, 20 do -- more text than the first try has room for
  vpn.client_create(server, ('{"id": "c%d"}'):format(number))
end
local _, ids = vpn.client_list(server):gsub('"id":', "")
assert(ids == 21)
assert(vpn.client_query(server, nil):find('"matches":21', 1, true))

local worked, failure = pcall(vpn.config_set, config, "/listen/0/prot", "1")
assert(not worked and failure.status == vpn.INVALID and failure.path == "/listen/0/prot")
assert(failure.text:find("port", 1, true) and failure.errno == 0)
print(failure.path, failure.text)

worked, failure = pcall(vpn.server_state, config) -- of another kind
assert(not worked and type(failure) == "string" and failure:find("smartvpn_server", 1, true))
worked, failure = pcall(vpn.server_state, nil)
assert(not worked and type(failure) == "string")

vpn.config_free(config)
vpn.server_free(server)
worked, failure = pcall(vpn.server_free, server)
assert(not worked and failure.status == vpn.BAD_HANDLE and failure.path == "")
vpn.server_free(nil)

local function relay_config(more)
  return vpn.config_from_json(vpn.CONFIG_RELAY, ([[{"listen": [{"address": "127.0.0.1", "port": 0}],
    "routes": [{"action": {"targets": [{"host": "127.0.0.1", "port": 9}]}}%s]}]]):format(more))
end
config = relay_config("")
local relay = vpn.relay_create(config)
assert(vpn.relay_state(relay) == vpn.RELAY_CREATED and vpn.relay_endpoints(relay) == "[]")
events = vpn.relay_events_open(relay, -1, 64)
vpn.relay_start(relay)
assert(vpn.relay_state(relay) == vpn.RELAY_RUNNING)
event = vpn.events_next(events, 10000)
assert(vpn.event_type(event) == vpn.EVENT_LISTENING)
assert(vpn.relay_endpoints(relay):find(vpn.event_text(event, "address"), 1, true))
assert(vpn.relay_connections(relay) == "[]")
local stats = vpn.relay_stats(relay)
assert(vpn.stats_u64(stats, "connections_relayed") == 0)
local more = relay_config(', {"name": "b", "action": {"targets": [{"host": "127.0.0.1", "port": 10}]}}')
assert(vpn.changes_json(vpn.relay_reconfigure(relay, more, 0)):find('"/routes', 1, true))
worked, failure = pcall(vpn.relay_disconnect, relay, 4711)
assert(not worked and failure.status == vpn.NOT_FOUND)
worked, failure = pcall(vpn.relay_state, server) -- of another kind
assert(not worked and type(failure) == "string" and failure:find("smartvpn_relay", 1, true))
vpn.relay_set_server(relay, nil)
worked, failure = pcall(vpn.relay_set_server, relay, server) -- which was freed
assert(not worked and failure.status == vpn.BAD_HANDLE)
vpn.relay_stop(relay, 0, 10000)
assert(vpn.relay_state(relay) == vpn.RELAY_STOPPED)
vpn.relay_free(relay)
vpn.relay_free(nil)
