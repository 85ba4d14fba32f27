// Snapshots of all counters.

package smartvpn

// #include <smartvpn.h>
import "C"

import (
	"io"
	"runtime"
)

// Stats is a snapshot of all counters, all of one moment. It outlives its server. Close it when done; one that is
// forgotten goes with the garbage collector.
type Stats struct{ handle *C.smartvpn_stats }

// Counters are what is counted for the server, for each listener and for each transport alike.
type Counters struct {
	ConnectionsTotal     uint64 `json:"connections_total"`
	ConnectionsOpen      uint64 `json:"connections_open"`
	HandshakesTotal      uint64 `json:"handshakes_total"`
	HandshakesCompleted  uint64 `json:"handshakes_completed"`
	HandshakesInProgress uint64 `json:"handshakes_in_progress"`
	RekeysTotal          uint64 `json:"rekeys_total"`
	SessionsTotal        uint64 `json:"sessions_total"`
	SessionsNow          uint64 `json:"sessions_now"`
	Traffic
	Rejections    map[string]uint64 `json:"rejections"`     // by reason; absent is 0
	SessionsEnded map[string]uint64 `json:"sessions_ended"` // by reason; absent is 0
}

// Figures are a server's or a tunnel's snapshot as a struct.
type Figures struct {
	Time               Time                `json:"time"`
	Started            Time                `json:"started"`
	Clients            uint64              `json:"clients"`
	MemoryBytes        uint64              `json:"memory_bytes"`
	MemoryLimitBytes   uint64              `json:"memory_limit_bytes"`
	EventsLost         uint64              `json:"events_lost"`
	CallbackExceptions uint64              `json:"callback_exceptions"`
	AEAD               string              `json:"aead"` // what performance.aead has come to: "avx2"
	SessionsByHealth   map[string]uint64   `json:"sessions_by_health"`
	Total              Counters            `json:"total"`
	Listeners          []ListenerFigures   `json:"listeners"`
	Transports         map[string]Counters `json:"transports"`
}

// ListenerFigures are the counters of one listener.
type ListenerFigures struct {
	Listener  int       `json:"listener"`
	Transport Transport `json:"transport"`
	Address   string    `json:"address"`
	Counters
}

// Stats takes a snapshot of the server's counters. Close it.
func (s *Server) Stats() (*Stats, error) {
	return newStats("stats", func(out **C.smartvpn_stats, failed **C.smartvpn_error) C.smartvpn_status {
		return C.smartvpn_server_stats(s.native(), out, failed)
	})
}

func newStats(op string, open func(**C.smartvpn_stats, **C.smartvpn_error) C.smartvpn_status) (*Stats, error) {
	stats := &Stats{}
	var failed *C.smartvpn_error
	if err := failure(op, open(&stats.handle, &failed), &failed); err != nil {
		return nil, err
	}
	runtime.SetFinalizer(stats, func(s *Stats) { C.smartvpn_stats_free(s.handle) })
	return stats, nil
}

func (s *Stats) native() *C.smartvpn_stats {
	if s == nil {
		return nil
	}
	return s.handle
}

// U64 gives one number of the totals by its name in the JSON form: "sessions_now", "inner_bytes_in",
// "drops.spoofed_source", "rejections.ip_block_list"; "drops" and "rejections" for all. Of a relay also
// "connections_relayed", "bytes_in", "ended.closed_by_client". ErrNotFound for other names.
func (s *Stats) U64(name string) (uint64, error) {
	const op = "stats"
	text, err := cText(op, "name", name)
	if err != nil {
		return 0, err
	}
	defer freeText(text)
	var value C.uint64_t
	err = failure(op, C.smartvpn_stats_u64(s.native(), text, &value), nil)
	runtime.KeepAlive(s)
	return uint64(value), err
}

// JSON gives all of it as JSON, with every key, also those of later versions.
func (s *Stats) JSON() ([]byte, error) {
	defer runtime.KeepAlive(s)
	return readText("stats", func(buf *C.char, size C.size_t, needed *C.size_t, failed **C.smartvpn_error) C.smartvpn_status {
		return C.smartvpn_stats_json(s.native(), buf, size, needed, failed)
	})
}

// Figures gives all of it as a struct, for a server or a tunnel; RelayFigures is a relay's.
func (s *Stats) Figures() (Figures, error) {
	var out Figures
	data, err := s.JSON()
	if err != nil {
		return out, err
	}
	return out, decode("stats", data, &out)
}

// Prometheus gives all of it in the Prometheus text format 0.0.4.
func (s *Stats) Prometheus() ([]byte, error) {
	defer runtime.KeepAlive(s)
	var size textSize
	size.last.Store(64 << 10)
	return size.read("stats", func(buf *C.char, size C.size_t, needed *C.size_t, failed **C.smartvpn_error) C.smartvpn_status {
		return C.smartvpn_stats_prometheus(s.native(), buf, size, needed, failed)
	})
}

// WritePrometheus writes what Prometheus gives.
func (s *Stats) WritePrometheus(to io.Writer) error {
	text, err := s.Prometheus()
	if err == nil {
		_, err = to.Write(text)
	}
	return err
}

// Close frees the snapshot. Closing again is fine.
func (s *Stats) Close() error {
	if s != nil && s.handle != nil {
		runtime.SetFinalizer(s, nil)
		C.smartvpn_stats_free(s.handle)
	}
	return nil
}
