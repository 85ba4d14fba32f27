// Clients as the configuration and the registry have them, and the configuration of a tunnel.

package smartvpn

import "encoding/json"

// ClientSpec describes a client: an entry of Config.Clients, or what Clients.Create is given. Only ID is required.
type ClientSpec struct {
	ID                    string          `json:"id,omitempty"`
	NoisePublicKey        string          `json:"noise_public_key,omitempty"`
	WireGuardPublicKey    string          `json:"wireguard_public_key,omitempty"`
	WireGuardPresharedKey Secret          `json:"wireguard_preshared_key,omitempty"`
	Enabled               *bool           `json:"enabled,omitempty"` // nil: true
	ExpiresAt             *Time           `json:"expires_at,omitempty"`
	Addresses             []string        `json:"addresses,omitempty"`
	Subnets               []string        `json:"subnets,omitempty"`
	AllowOverlap          bool            `json:"allow_overlap,omitempty"`
	Transports            []Transport     `json:"transports,omitempty"`
	MaxSessions           int             `json:"max_sessions,omitempty"`
	SessionPolicy         string          `json:"session_policy,omitempty"` // "drop-oldest", "refuse-new"
	Priority              *int            `json:"priority,omitempty"`       // nil: 100
	Description           string          `json:"description,omitempty"`
	Tags                  []string        `json:"tags,omitempty"`
	Security              *ClientSecurity `json:"security,omitempty"`
}

// ClientSecurity is from where a client may connect, what it may reach, and how fast.
type ClientSecurity struct {
	IPAllowList          []string   `json:"ip_allow_list,omitempty"`
	IPBlockList          []string   `json:"ip_block_list,omitempty"`
	DestinationAllowList []string   `json:"destination_allow_list,omitempty"`
	DestinationBlockList []string   `json:"destination_block_list,omitempty"`
	RateLimit            *RateLimit `json:"rate_limit,omitempty"`
}

// RateLimit is in bytes of inner packets; 0: no limit.
type RateLimit struct {
	FromClientBytesPerSecond uint64 `json:"from_client_bytes_per_second,omitempty"`
	FromClientBurstBytes     uint64 `json:"from_client_burst_bytes,omitempty"`
	ToClientBytesPerSecond   uint64 `json:"to_client_bytes_per_second,omitempty"`
	ToClientBurstBytes       uint64 `json:"to_client_burst_bytes,omitempty"`
}

// TunnelConfig is the configuration of a tunnel, the dialling end. Credentials.TunnelConfig gives one.
type TunnelConfig struct {
	Server              string     `json:"server,omitempty"` // "wss://host:port/path"
	Keys                TunnelKeys `json:"keys"`
	TLS                 *TunnelTLS `json:"tls,omitempty"`
	ProxyProtocol       *SendProxy `json:"proxy_protocol,omitempty"`
	Reconnect           *Reconnect `json:"reconnect,omitempty"`
	KeepaliveIntervalMS int        `json:"keepalive_interval_ms,omitempty"`
	MTU                 int        `json:"mtu,omitempty"`
	Tun                 *TunnelTun `json:"tun,omitempty"`
	Forwarding          Forwarding `json:"forwarding"` // "tun", "host", "testing"

	// Raw and Set are as in Config.
	Raw json.RawMessage        `json:"-"`
	Set map[string]interface{} `json:"-"`
}

// TunnelKeys are who we are and whom we expect, base64.
type TunnelKeys struct {
	NoisePrivateKey string `json:"noise_private_key,omitempty"`
	ServerPublicKey string `json:"server_public_key,omitempty"`
}

// TunnelTLS is how the server's certificate is checked.
type TunnelTLS struct {
	CA           string `json:"ca,omitempty"`
	PinnedSHA256 string `json:"pinned_sha256,omitempty"`
	ServerName   string `json:"server_name,omitempty"`
	Verify       *bool  `json:"verify,omitempty"` // nil: true
}

// SendProxy makes the tunnel send a PROXY header first.
type SendProxy struct {
	Send        string `json:"send,omitempty"` // "off", "v1", "v2"
	Source      string `json:"source,omitempty"`
	Destination string `json:"destination,omitempty"`
}

// Reconnect is what happens when the connection is lost.
type Reconnect struct {
	Enabled   *bool `json:"enabled,omitempty"` // nil: true
	InitialMS int   `json:"initial_ms,omitempty"`
	MaxMS     int   `json:"max_ms,omitempty"`
}

// TunnelTun is the kernel device of forwarding mode "tun".
type TunnelTun struct {
	Name   string      `json:"name,omitempty"`
	Routes interface{} `json:"routes,omitempty"` // true, false, or []string: exactly these
}

// ParseTunnelConfig reads a tunnel's configuration from JSON.
func ParseTunnelConfig(data []byte) (TunnelConfig, error) {
	var config TunnelConfig
	return config, parseConfig("parse tunnel config", tunnelKind, data, &config)
}

// Validate says what NewTunnel would refuse.
func (c TunnelConfig) Validate() error { return validate(c) }

// JSON gives the configuration as the library understands it. Secrets are left out unless asked for.
func (c TunnelConfig) JSON(withSecrets bool) ([]byte, error) { return configJSON(c, withSecrets) }
