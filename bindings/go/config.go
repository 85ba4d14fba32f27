// The configuration of a server as Go structs. docs/CONFIGURATION.md has every key with its range and default; a
// test compares. What is left zero is left out, so the default holds; where zero is a value of its own, or an empty
// list differs from none, the field is a pointer (Ptr makes one).

package smartvpn

import "encoding/json"

// Ptr gives a pointer to a value, for fields whose zero would mean something.
func Ptr[T any](value T) *T { return &value }

// Transport is a carrier.
type Transport string

// The carriers.
const (
	WebSocket Transport = "websocket"
	QUIC      Transport = "quic"
	WireGuard Transport = "wireguard"
)

// Config is the configuration of a server.
type Config struct {
	Listen      []Listener        `json:"listen,omitempty"`
	Keys        Keys              `json:"keys"`
	Network     Network           `json:"network"`
	Forwarding  Forwarding        `json:"forwarding"`
	Tun         Tun               `json:"tun"`
	Security    Security          `json:"security"`
	Session     Session           `json:"session"`
	WireGuard   WireGuardSessions `json:"wireguard"`
	Performance Performance       `json:"performance"`
	Registry    Registry          `json:"registry"`
	Limits      Limits            `json:"limits"`
	Telemetry   Telemetry         `json:"telemetry"`
	Clients     []ClientSpec      `json:"clients,omitempty"`

	// Raw is the whole configuration as JSON, in place of the fields above, which then have to be zero.
	Raw json.RawMessage `json:"-"`
	// Set sets single keys, by JSON Pointer ("/listen/0/port"; "/listen/-" appends), after all others. It reaches
	// keys that are newer than this package. nil removes a key.
	Set map[string]interface{} `json:"-"`
}

// Listener is one place where a server listens. Without Port, Address has to hold it ("127.0.0.1:0"), or FD be set.
type Listener struct {
	Transport            Transport      `json:"transport,omitempty"`
	Address              string         `json:"address,omitempty"`
	Port                 *int           `json:"port,omitempty"` // 0: the kernel chooses, see Server.Endpoints
	FD                   *int           `json:"fd,omitempty"`   // a listening socket of yours; it is duplicated
	Path                 string         `json:"path,omitempty"`
	PublicURL            string         `json:"public_url,omitempty"`
	TLS                  *ListenerTLS   `json:"tls,omitempty"`
	ProxyProtocol        *ProxyProtocol `json:"proxy_protocol,omitempty"`
	RealIPHeader         string         `json:"real_ip_header,omitempty"`
	RealIPTrustedProxies []string       `json:"real_ip_trusted_proxies,omitempty"`
}

// ListenerTLS is TLS in process: paths of PEM files, or PEM texts.
type ListenerTLS struct {
	Certificate string `json:"certificate,omitempty"`
	Key         Secret `json:"key,omitempty"`
}

// ProxyProtocol is the PROXY header in front of each connection.
type ProxyProtocol struct {
	Mode            string   `json:"mode,omitempty"` // "off", "v1", "v2", "any"
	TrustedProxies  []string `json:"trusted_proxies,omitempty"`
	HeaderTimeoutMS int      `json:"header_timeout_ms,omitempty"`
	Local           string   `json:"local,omitempty"`       // "close", "health"
	Addressless     string   `json:"addressless,omitempty"` // "accept", "refuse"
	MaxHeaderBytes  int      `json:"max_header_bytes,omitempty"`
}

// Keys are the server's private keys, base64.
type Keys struct {
	NoisePrivateKey     string `json:"noise_private_key,omitempty"`
	NoiseNextPrivateKey string `json:"noise_next_private_key,omitempty"`
	WireGuardPrivateKey string `json:"wireguard_private_key,omitempty"`
}

// Network is the network inside the tunnels.
type Network struct {
	Subnets           []string  `json:"subnets,omitempty"`
	MTU               int       `json:"mtu,omitempty"`
	DNS               []string  `json:"dns,omitempty"`
	Routes            *[]string `json:"routes,omitempty"` // nil: the subnets
	ClientToClient    bool      `json:"client_to_client,omitempty"`
	HostServices      *[]string `json:"host_services,omitempty"` // nil: "dns" and "icmp_echo"
	Multicast         bool      `json:"multicast,omitempty"`
	WireGuardEndpoint string    `json:"wireguard_endpoint,omitempty"`
}

// Forwarding is what stands behind the tunnels.
type Forwarding struct {
	Mode string `json:"mode,omitempty"` // "tun", "host", "testing", "nat", "bridge"
}

// Tun is the kernel device of forwarding mode "tun".
type Tun struct {
	Name                string `json:"name,omitempty"`
	FD                  *int   `json:"fd,omitempty"` // a device of yours; it is duplicated
	Masquerade          bool   `json:"masquerade,omitempty"`
	MasqueradeInterface string `json:"masquerade_interface,omitempty"`
}

// Security is who may connect, and how often.
type Security struct {
	ConnectionIPBlockList        []string `json:"connection_ip_block_list,omitempty"`
	MaxConnectionsPerIP          int      `json:"max_connections_per_ip,omitempty"`
	NewConnectionsPerIPPerMinute int      `json:"new_connections_per_ip_per_minute,omitempty"`
	MaxHandshakesInProgress      int      `json:"max_handshakes_in_progress,omitempty"`
	UpgradeTimeoutMS             int      `json:"upgrade_timeout_ms,omitempty"`
	Authorize                    string   `json:"authorize,omitempty"` // "off", "required": see Server.Authorize
	AuthorizeTimeoutMS           int      `json:"authorize_timeout_ms,omitempty"`
}

// Session is about sessions of the native protocol.
type Session struct {
	KeepaliveIntervalMS int `json:"keepalive_interval_ms,omitempty"`
}

// WireGuardSessions is about sessions of WireGuard clients, and the configurations that they get.
type WireGuardSessions struct {
	SessionTimeoutS      int    `json:"session_timeout_s,omitempty"`
	PersistentKeepaliveS *int   `json:"persistent_keepalive_s,omitempty"` // nil: 25; 0: none
	UAPISocket           string `json:"uapi_socket,omitempty"`            // a path, or an interface name for the wg tool
}

// Performance is how the work is done.
type Performance struct {
	AEAD string `json:"aead,omitempty"` // "automatic", "openssl", "sodium", "avx2", "avx512"
}

// Registry is where registered clients are kept.
type Registry struct {
	Store           string `json:"store,omitempty"` // "memory", "sqlite"
	Path            string `json:"path,omitempty"`
	KeepPrivateKeys bool   `json:"keep_private_keys,omitempty"`
}

// Limits are what the server may take. 0: no limit, or the default.
type Limits struct {
	Threads     int    `json:"threads,omitempty"`
	MemoryBytes uint64 `json:"memory_bytes,omitempty"`
	Sessions    int    `json:"sessions,omitempty"`
	EventQueue  int    `json:"event_queue,omitempty"`
}

// Telemetry is what is told about clients.
type Telemetry struct {
	ClientLabel bool `json:"client_label,omitempty"`
}

// ParseConfig reads a server's configuration from JSON. A wrong one is refused with the path of the key at fault.
func ParseConfig(data []byte) (Config, error) {
	var config Config
	return config, parseConfig("parse config", serverKind, data, &config)
}

// Validate says what NewServer would refuse, but for what it has to read: address lists and certificate files.
func (c Config) Validate() error { return validate(c) }

// JSON gives the configuration as the library understands it. Secrets are left out unless asked for.
func (c Config) JSON(withSecrets bool) ([]byte, error) { return configJSON(c, withSecrets) }
