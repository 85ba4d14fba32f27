// The configuration of a relay as Go structs, in the manner of config.go.

package smartvpn

import (
	"bytes"
	"encoding/json"
)

// RelayConfig is the configuration of a relay.
type RelayConfig struct {
	Listen   []RelayListener `json:"listen,omitempty"`
	Routes   []RelayRoute    `json:"routes,omitempty"`
	Timeouts RelayTimeouts   `json:"timeouts"`
	Limits   RelayLimits     `json:"limits"`
	Security RelaySecurity   `json:"security"`

	// Raw and Set are as in Config.
	Raw json.RawMessage        `json:"-"`
	Set map[string]interface{} `json:"-"`
}

// RelayListener is where a relay listens: Port, or Ports for several.
type RelayListener struct {
	Address             string   `json:"address,omitempty"` // "": "::", which takes both families
	Port                *int     `json:"port,omitempty"`    // 0: the kernel chooses, see Relay.Endpoints
	Ports               Ports    `json:"ports,omitempty"`
	Protocol            string   `json:"protocol,omitempty"`              // "tcp", "udp"
	AcceptProxyProtocol string   `json:"accept_proxy_protocol,omitempty"` // "off", "v1", "v2", "any"
	TrustedProxies      []string `json:"trusted_proxies,omitempty"`
	MayAssertIdentity   []string `json:"may_assert_identity,omitempty"` // of them; who may say which VPN client somebody is
	Untrusted           string   `json:"untrusted,omitempty"`           // "reject", "direct"
	Addressless         string   `json:"addressless,omitempty"`         // "accept", "refuse"
	MaxHeaderBytes      int      `json:"max_header_bytes,omitempty"`
}

// RelayRoute is what happens to the connections that match.
type RelayRoute struct {
	Name           string      `json:"name,omitempty"`    // "": "route-N"
	Enabled        *bool       `json:"enabled,omitempty"` // nil: true
	Priority       int         `json:"priority,omitempty"`
	Match          *RelayMatch `json:"match,omitempty"` // nil: all connections
	Action         RelayAction `json:"action"`
	MaxConnections int         `json:"max_connections,omitempty"` // 0: no limit
}

// RelayMatch is which connections a route takes. What is left out matches all.
type RelayMatch struct {
	Ports       Ports    `json:"ports,omitempty"`
	Domains     []string `json:"domains,omitempty"` // "example.com", "*.example.com", "*"
	ClientIP    []string `json:"client_ip,omitempty"`
	TLSVersions []string `json:"tls_versions,omitempty"` // "TLSv1.2", "TLSv1.3": the newest offered
	Protocol    string   `json:"protocol,omitempty"`     // "tcp", "udp"; "": either
}

// RelayAction is where a route's connections go.
type RelayAction struct {
	Type              string        `json:"type,omitempty"` // "forward"; "vpn": see Relay.SetServer
	Targets           []RelayTarget `json:"targets,omitempty"`
	Balance           string        `json:"balance,omitempty"` // "round_robin", "least_connections"
	TLS               *RelayTLS     `json:"tls,omitempty"`
	SendProxyProtocol string        `json:"send_proxy_protocol,omitempty"` // "off", "v1", "v2"
	ProxyTLVs         *RelayTLVs    `json:"proxy_tlvs,omitempty"`
	HalfOpen          bool          `json:"half_open,omitempty"`
}

// RelayTarget is where to connect.
type RelayTarget struct {
	Host string     `json:"host,omitempty"`
	Port TargetPort `json:"port,omitempty"`
}

// RelayTLS is what happens to TLS. Private keys are in Certificates.
type RelayTLS struct {
	Mode         string          `json:"mode,omitempty"` // "passthrough", "terminate", "terminate-and-reencrypt"
	Certificates []ListenerTLS   `json:"certificates,omitempty"`
	ALPN         []string        `json:"alpn,omitempty"`
	Target       *RelayTargetTLS `json:"target,omitempty"`
}

// RelayTargetTLS is how a target's certificate is checked, where the relay speaks TLS to it.
type RelayTargetTLS struct {
	CA         string `json:"ca,omitempty"`
	ServerName string `json:"server_name,omitempty"`
	Verify     *bool  `json:"verify,omitempty"` // nil: true
}

// RelayTLVs are what else a v2 header says to the target.
type RelayTLVs struct {
	Authority *bool `json:"authority,omitempty"` // nil: true, as the next four
	ALPN      *bool `json:"alpn,omitempty"`
	SSL       *bool `json:"ssl,omitempty"`
	UniqueID  *bool `json:"unique_id,omitempty"`
	Identity  *bool `json:"identity,omitempty"`
	CRC32C    bool  `json:"crc32c,omitempty"`
	Unknown   bool  `json:"unknown,omitempty"`
}

// RelayTimeouts are how long a connection may take.
type RelayTimeouts struct {
	ProxyHeaderMS int  `json:"proxy_header_ms,omitempty"`
	FirstBytesMS  int  `json:"first_bytes_ms,omitempty"`
	ConnectMS     int  `json:"connect_ms,omitempty"`
	IdleMS        *int `json:"idle_ms,omitempty"` // nil: an hour; 0: for ever
	LifetimeMS    int  `json:"lifetime_ms,omitempty"`
	HalfOpenMS    int  `json:"half_open_ms,omitempty"`
	UDPIdleMS     int  `json:"udp_idle_ms,omitempty"` // of a client's datagrams
}

// RelayLimits are what the relay may take.
type RelayLimits struct {
	Threads                      int  `json:"threads,omitempty"`
	Connections                  int  `json:"connections,omitempty"`                       // 0: no limit
	ConnectionsPerIP             *int `json:"connections_per_ip,omitempty"`                // nil: 100; 0: no limit
	NewConnectionsPerIPPerMinute *int `json:"new_connections_per_ip_per_minute,omitempty"` // nil: 300; 0: no limit
	Addresses                    int  `json:"addresses,omitempty"`
	EventQueue                   int  `json:"event_queue,omitempty"`
}

// RelaySecurity is who may come, by real address.
type RelaySecurity struct {
	IPBlockList []string `json:"ip_block_list,omitempty"`
	IPAllowList []string `json:"ip_allow_list,omitempty"`
}

// PortRange is the ports from From to To, both in it. To left 0: From alone.
type PortRange struct{ From, To int }

// MarshalJSON gives a number for one port.
func (r PortRange) MarshalJSON() ([]byte, error) {
	if r.To == 0 {
		return json.Marshal(r.From)
	}
	return json.Marshal(map[string]int{"from": r.From, "to": r.To})
}

// UnmarshalJSON takes a number, or {"from": ..., "to": ...}.
func (r *PortRange) UnmarshalJSON(data []byte) error {
	if !bytes.HasPrefix(data, []byte("{")) {
		r.To = 0
		return json.Unmarshal(data, &r.From)
	}
	var ends struct{ From, To int }
	err := json.Unmarshal(data, &ends)
	*r = ends
	return err
}

// Ports are several ports: Ports{{From: 443}, {From: 8000, To: 8010}}.
type Ports []PortRange

// UnmarshalJSON takes a list, or a number for one port.
func (p *Ports) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte("[")) {
		return json.Unmarshal(data, (*[]PortRange)(p))
	}
	*p = make(Ports, 1)
	return json.Unmarshal(data, &(*p)[0])
}

// TargetPort is a target's port.
type TargetPort int

// PreservePort is the port that the client came to.
const PreservePort TargetPort = -1

// MarshalJSON gives a number, or "preserve".
func (p TargetPort) MarshalJSON() ([]byte, error) {
	if p == PreservePort {
		return []byte(`"preserve"`), nil
	}
	return json.Marshal(int(p))
}

// UnmarshalJSON takes a number, or "preserve".
func (p *TargetPort) UnmarshalJSON(data []byte) error {
	if string(data) == `"preserve"` {
		*p = PreservePort
		return nil
	}
	return json.Unmarshal(data, (*int)(p))
}

// ParseRelayConfig reads a relay's configuration from JSON. A wrong one is refused with the path of the key at fault.
func ParseRelayConfig(data []byte) (RelayConfig, error) {
	var config RelayConfig
	return config, parseConfig("parse relay config", relayKind, data, &config)
}

// Validate says what NewRelay would refuse, but for what it has to compile or to read: domains, address lists and
// certificate files.
func (c RelayConfig) Validate() error { return validate(c) }

// JSON gives the configuration as the library understands it. Secrets are left out unless asked for.
func (c RelayConfig) JSON(withSecrets bool) ([]byte, error) { return configJSON(c, withSecrets) }
