// A relay's snapshot as a struct, and its series.

package smartvpn

import (
	"io"
	"net/http"
)

// RelayCounters are what is counted for the relay and for each route alike; by route from when a connection has
// reached a target.
type RelayCounters struct {
	ConnectionsTotal   uint64               `json:"connections_total"`
	ConnectionsOpen    uint64               `json:"connections_open"`
	ConnectionsRelayed uint64               `json:"connections_relayed"`
	TargetFailures     uint64               `json:"target_failures"`
	BytesIn            uint64               `json:"bytes_in"` // from clients
	BytesOut           uint64               `json:"bytes_out"`
	Rates              map[string]RelayRate `json:"rates"` // over the last "1", "10" and "60" seconds
}

// RelayRate is so much a second.
type RelayRate struct {
	Connections float64 `json:"connections"`
	BytesIn     float64 `json:"bytes_in"`
	BytesOut    float64 `json:"bytes_out"`
}

// RelayFigures are a relay's snapshot as a struct.
type RelayFigures struct {
	Time       Time   `json:"time"`
	Started    Time   `json:"started"`
	EventsLost uint64 `json:"events_lost"`
	RelayCounters
	UDPFlowsTotal   uint64 `json:"udp_flows_total"` // flows are among the connections
	UDPFlowsOpen    uint64 `json:"udp_flows_open"`
	UDPDatagramsIn  uint64 `json:"udp_datagrams_in"` // from clients
	UDPDatagramsOut uint64 `json:"udp_datagrams_out"`

	Rejections     map[string]uint64 `json:"rejections"` // by reason; absent is 0
	Ended          map[string]uint64 `json:"ended"`      // by reason; absent is 0
	UDPDrops       map[string]uint64 `json:"udp_drops"`  // datagrams that went no further, by reason; absent is 0
	Routes         []RouteFigures    `json:"routes"`
	Addresses      []AddressFigures  `json:"addresses"`       // the real addresses with the most bytes
	OtherAddresses AddressFigures    `json:"other_addresses"` // all others, without an address
}

// RouteFigures are the counters of one route.
type RouteFigures struct {
	Route string `json:"route"`
	RelayCounters
}

// AddressFigures is what is counted of one real address.
type AddressFigures struct {
	Address          string `json:"address"`
	ConnectionsOpen  uint64 `json:"connections_open"`
	ConnectionsTotal uint64 `json:"connections_total"`
	BytesIn          uint64 `json:"bytes_in"`
	BytesOut         uint64 `json:"bytes_out"`
}

// RelayFigures gives all of a relay's snapshot as a struct; Figures is for those of servers and tunnels.
func (s *Stats) RelayFigures() (RelayFigures, error) {
	var out RelayFigures
	data, err := s.JSON()
	if err != nil {
		return out, err
	}
	return out, decode("stats", data, &out)
}

// WritePrometheus is as a server's.
func (r *Relay) WritePrometheus(to io.Writer) error { return writePrometheus(r.Stats, to) }

// MetricsHandler is as a server's.
func (r *Relay) MetricsHandler() http.Handler { return metricsHandler(r.WritePrometheus) }

// Metrics is as a server's.
func (r *Relay) Metrics() ([]Metric, error) { return metricsOf(r.Stats) }
