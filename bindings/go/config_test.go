// The structs against docs/CONFIGURATION.md and against the library's own opinion.

package smartvpn_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	smartvpn "github.com/smartvpn/smartvpn/bindings/go"
)

// documented gives the keys of one of the tables of the document.
func documented(t *testing.T, heading string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("../../docs/CONFIGURATION.md")
	ok(t, err)
	_, section, found := strings.Cut(string(text), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("no section %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	keys := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(/[^`]+)` \\|").FindAllStringSubmatch(section, -1) {
		keys[row[1]] = true
	}
	if len(keys) < 15 {
		t.Fatalf("only %d keys under %q", len(keys), heading)
	}
	return keys
}

// keysOf gives the JSON Pointers that a type can write, with * for an index.
func keysOf(kind reflect.Type, path string, out map[string]bool) {
	for kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	switch {
	case kind == reflect.TypeOf(smartvpn.Ports{}): // which has a form of its own
	case kind.Kind() == reflect.Slice:
		out[path+"/*"] = true
		keysOf(kind.Elem(), path+"/*", out)
	case kind.Kind() == reflect.Struct && kind != reflect.TypeOf(smartvpn.Time{}):
		for i := 0; i < kind.NumField(); i++ {
			name, _, _ := strings.Cut(kind.Field(i).Tag.Get("json"), ",")
			if name == "-" {
				continue
			}
			out[path+"/"+name] = true
			keysOf(kind.Field(i).Type, path+"/"+name, out)
		}
	}
}

func TestEveryDocumentedKeyHasAFieldAndEveryFieldAKey(t *testing.T) {
	for heading, kind := range map[string]reflect.Type{
		"Server":                    reflect.TypeOf(smartvpn.Config{}),
		"Tunnel (the dialling end)": reflect.TypeOf(smartvpn.TunnelConfig{}),
		"Relay":                     reflect.TypeOf(smartvpn.RelayConfig{}),
	} {
		fields, keys := map[string]bool{}, documented(t, heading)
		keysOf(kind, "", fields)
		for key := range keys {
			if !fields[key] {
				t.Errorf("%s: no field for %s", heading, key)
			}
		}
		for field := range fields {
			if !keys[field] {
				t.Errorf("%s: nothing is documented for %s", heading, field)
			}
		}
	}
}

const large = `{
  "listen": [{"transport": "websocket", "address": "127.0.0.1", "port": 0, "path": "/vpn", "public_url": "wss://vpn.example.com/vpn",
    "tls": {"certificate": "c.pem", "key": "k.pem"}, "real_ip_header": "forwarded", "real_ip_trusted_proxies": ["10.0.0.0/8"],
    "proxy_protocol": {"mode": "v2", "trusted_proxies": ["10.0.0.0/8"], "header_timeout_ms": 4000, "local": "health",
      "addressless": "refuse", "max_header_bytes": 1000}}],
  "keys": {"noise_private_key": "KEY"},
  "network": {"subnets": ["10.9.0.0/24"], "mtu": 1300, "dns": ["10.9.0.1"], "routes": [], "client_to_client": true,
    "host_services": [], "multicast": true, "wireguard_endpoint": "vpn.example.com:51820"},
  "forwarding": {"mode": "host"}, "tun": {"name": "vpn0"},
  "security": {"connection_ip_block_list": ["203.0.113.0/24"], "max_connections_per_ip": 7, "new_connections_per_ip_per_minute": 8,
    "max_handshakes_in_progress": 9, "upgrade_timeout_ms": 2000, "authorize": "required", "authorize_timeout_ms": 300},
  "session": {"keepalive_interval_ms": 5000}, "wireguard": {"session_timeout_s": 200, "persistent_keepalive_s": 0, "uapi_socket": "svpn0"},
  "performance": {"aead": "openssl"}, "registry": {"store": "sqlite", "path": "x.db", "keep_private_keys": true},
  "limits": {"threads": 1, "memory_bytes": 100000000, "sessions": 10, "event_queue": 32}, "telemetry": {"client_label": true},
  "clients": [{"id": "a", "noise_public_key": "KEY", "enabled": false, "expires_at": 1893456000000, "addresses": ["10.9.0.9"],
    "max_sessions": 1, "description": "d", "tags": ["t"], "subnets": ["192.168.7.0/24"], "allow_overlap": true, "priority": 0,
    "transports": ["websocket"], "session_policy": "refuse-new", "security": {"ip_allow_list": ["198.51.100.1"],
    "ip_block_list": ["198.51.100.2"], "destination_allow_list": ["10.9.0.0/24"], "destination_block_list": ["10.9.0.7"],
    "rate_limit": {"from_client_bytes_per_second": 1, "from_client_burst_bytes": 2, "to_client_bytes_per_second": 3,
    "to_client_burst_bytes": 4}}}]}`

func TestAParsedConfigurationMeansTheSame(t *testing.T) {
	key, err := smartvpn.GenerateKey()
	ok(t, err)
	data := []byte(strings.ReplaceAll(large, "KEY", key))
	parsed, err := smartvpn.ParseConfig(data)
	ok(t, err)
	for _, secrets := range []bool{false, true} {
		got, err := parsed.JSON(secrets)
		ok(t, err)
		wanted, err := smartvpn.Config{Raw: data}.JSON(secrets)
		ok(t, err)
		if !sameJSON(t, got, wanted) {
			t.Fatalf("%s\n%s", got, wanted)
		}
		if bytes.Contains(got, []byte(`"noise_private_key"`)) != secrets {
			t.Fatalf("secrets %v: %s", secrets, got)
		}
	}
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var left, right interface{}
	ok(t, json.Unmarshal(a, &left))
	ok(t, json.Unmarshal(b, &right))
	return reflect.DeepEqual(left, right)
}

func TestAWrongConfigurationIsRefusedWithItsPath(t *testing.T) {
	good := func() smartvpn.Config { return serverConfig(t, "testing") }
	for path, change := range map[string]func(*smartvpn.Config){
		"/listen": func(c *smartvpn.Config) { c.Listen = nil },
		"/listen/0/port": func(c *smartvpn.Config) {
			c.Listen[0] = smartvpn.Listener{Transport: smartvpn.WebSocket, Port: smartvpn.Ptr(65536)}
		},
		"/listen/0/transport":     func(c *smartvpn.Config) { c.Listen[0].Transport = "pigeon" },
		"/network/mtu":            func(c *smartvpn.Config) { c.Network.MTU = 5 },
		"/limits/threads":         func(c *smartvpn.Config) { c.Limits.Threads = -1 },
		"/netwerk":                func(c *smartvpn.Config) { c.Set = map[string]interface{}{"/netwerk": 1} },
		"/keys/noise_private_key": func(c *smartvpn.Config) { c.Keys.NoisePrivateKey = "short" },
	} {
		config := good()
		change(&config)
		for _, err := range []error{config.Validate(), second(smartvpn.NewServer(config))} {
			var problem *smartvpn.Error
			if !errors.As(err, &problem) || problem.Path != path || !errors.Is(err, smartvpn.ErrInvalid) || problem.Text == "" {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
	config := good()
	config.Listen[0].Transport = smartvpn.QUIC
	fails(t, config.Validate(), smartvpn.ErrUnsupported)
	_, err := smartvpn.ParseConfig([]byte(`{"netwerk": {}}`))
	fails(t, err, smartvpn.ErrInvalid)
	if !strings.Contains(err.Error(), "network") {
		t.Fatalf("no hint in %v", err)
	}
	for _, broken := range []string{"", "{", "[]", "{}x", "\x00"} {
		if _, err := smartvpn.ParseConfig([]byte(broken)); !errors.Is(err, smartvpn.ErrInvalid) {
			t.Errorf("%q gives %v", broken, err)
		}
	}
	_, err = smartvpn.ParseConfig(nil)
	fails(t, err, smartvpn.ErrInvalid)
}

func second[T any](_ T, err error) error { return err }

func TestSetReachesSingleKeys(t *testing.T) {
	config := serverConfig(t, "testing")
	config.Network.MTU = 1300
	config.Set = map[string]interface{}{"/network/mtu": nil, "/network/dns": []string{"10.8.0.1"}, "/listen/0/path": "/x"}
	data, err := config.JSON(false)
	ok(t, err)
	parsed, err := smartvpn.ParseConfig(data)
	ok(t, err)
	if parsed.Network.MTU != 0 || !reflect.DeepEqual(parsed.Network.DNS, []string{"10.8.0.1"}) || parsed.Listen[0].Path != "/x" {
		t.Fatalf("%s", data)
	}
	config.Set = map[string]interface{}{"/network/mtu": func() {}}
	fails(t, config.Validate(), smartvpn.ErrInvalid)
	config.Set = map[string]interface{}{"/network\x00/mtu": 1}
	fails(t, config.Validate(), smartvpn.ErrInvalid)
	fails(t, smartvpn.Config{Raw: []byte("{}"), Listen: config.Listen}.Validate(), smartvpn.ErrInvalid)
}

func TestSecretsAreNotPrinted(t *testing.T) {
	config := serverConfig(t, "host")
	server := runningServer(t, "host")
	credentials, err := server.Clients().Create(smartvpn.ClientSpec{ID: "alice"})
	ok(t, err)
	tunnel, err := credentials.TunnelConfig()
	ok(t, err)
	const hidden = "hidden-value"
	config.Clients = []smartvpn.ClientSpec{{ID: "bob", WireGuardPresharedKey: hidden}}
	config.Raw, config.Set = []byte(hidden), map[string]interface{}{"/x": hidden}
	tunnel.Raw, tunnel.Set = config.Raw, config.Set
	tls := smartvpn.ListenerTLS{Key: hidden}
	relay := relayConfig(9)
	relay.Routes[0].Action.TLS = &smartvpn.RelayTLS{Certificates: []smartvpn.ListenerTLS{tls}}
	relay.Raw, relay.Set = config.Raw, config.Set
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		for _, value := range []interface{}{config, tunnel, relay, credentials, *credentials, tls} {
			if text := sprintf(format, value); strings.Contains(text, hidden) || strings.Contains(text, "104 105 100 100") {
				t.Errorf("%s prints %s", format, text)
			}
			text := sprintf(format, value)
			if strings.Contains(text, config.Keys.NoisePrivateKey) || strings.Contains(text, credentials.PrivateKey) {
				t.Errorf("%s prints %s", format, text)
			}
		}
	}
}
