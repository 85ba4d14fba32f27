// Live connections of clients.

package smartvpn

// #include <smartvpn.h>
import "C"

import "time"

// Sessions are a server's live sessions. ErrBadState before Start and after Stop.
type Sessions struct{ server *Server }

// Sessions gives the server's live sessions.
func (s *Server) Sessions() Sessions { return Sessions{s} }

// SessionState is a live session with all its figures. "In" is from the client to the server.
type SessionState struct {
	ID         uint64    `json:"id"`
	ClientID   string    `json:"client_id"`
	Listener   int       `json:"listener"`
	Transport  Transport `json:"transport"`
	RemoteAddr string    `json:"remote_addr"` // the client's real address; "" if unknown
	PeerAddr   string    `json:"peer_addr"`   // the socket's, which may be a proxy
	Addresses  []string  `json:"addresses"`   // inner
	Since      Time      `json:"since"`
	LastSeen   Time      `json:"last_seen"`
	Traffic
	Quality
}

// SessionInfo is a session's numbers alone, which cost less than SessionState.
type SessionInfo struct {
	ID              uint64
	Since, LastSeen time.Time
	InnerPacketsIn  uint64
	InnerBytesIn    uint64
	InnerPacketsOut uint64
	InnerBytesOut   uint64
	OuterBytesIn    uint64
	OuterBytesOut   uint64
	PacketsDropped  uint64
	RTT             time.Duration // smoothed; 0 before the first sample, as the next two
	RTTMin, Jitter  time.Duration
	LossPPM         uint32 // NoLoss where the carrier cannot lose
	Listener        int
	Transport       Transport
	Health          string
}

// NoLoss is SessionInfo.LossPPM where the carrier cannot lose.
const NoLoss = 0xffffffff

var transports = map[C.smartvpn_transport]Transport{
	C.SMARTVPN_TRANSPORT_WEBSOCKET: WebSocket,
	C.SMARTVPN_TRANSPORT_QUIC:      QUIC,
	C.SMARTVPN_TRANSPORT_WIREGUARD: WireGuard,
}

var healths = map[C.smartvpn_health]string{
	C.SMARTVPN_HEALTH_GOOD: "good",
	C.SMARTVPN_HEALTH_FAIR: "fair",
	C.SMARTVPN_HEALTH_POOR: "poor",
	C.SMARTVPN_HEALTH_DEAD: "dead",
}

// List gives all live sessions, in order of id.
func (s Sessions) List() ([]SessionState, error) {
	const op = "list sessions"
	if s.server == nil {
		return nil, closedError(op)
	}
	data, err := s.server.sessionsSize.read(op, func(buf *C.char, size C.size_t, needed *C.size_t, failed **C.smartvpn_error) C.smartvpn_status {
		return C.smartvpn_session_list(s.server.handle, buf, size, needed, failed)
	})
	if err != nil {
		return nil, err
	}
	var out []SessionState
	return out, decode(op, data, &out)
}

// Get gives one session. ErrNotFound for one that has ended; ids are not given out again.
func (s Sessions) Get(id uint64) (SessionState, error) {
	const op = "get session"
	var out SessionState
	data, err := readText(op, func(buf *C.char, size C.size_t, needed *C.size_t, failed **C.smartvpn_error) C.smartvpn_status {
		return C.smartvpn_session_get(s.server.native(), C.uint64_t(id), buf, size, needed, failed)
	})
	if err != nil {
		return out, err
	}
	return out, decode(op, data, &out)
}

// Info gives one session's numbers. ErrNotFound.
func (s Sessions) Info(id uint64) (SessionInfo, error) {
	var info C.smartvpn_session_info
	var failed *C.smartvpn_error
	info.struct_size = C.sizeof_smartvpn_session_info
	status := C.smartvpn_session_get_info(s.server.native(), C.uint64_t(id), &info, &failed)
	if err := failure("session info", status, &failed); err != nil {
		return SessionInfo{}, err
	}
	micros := func(value C.uint32_t) time.Duration { return time.Duration(value) * time.Microsecond }
	return SessionInfo{
		ID: uint64(info.id), Since: time.UnixMilli(int64(info.since_ms)), LastSeen: time.UnixMilli(int64(info.last_seen_ms)),
		InnerPacketsIn: uint64(info.inner_packets_in), InnerBytesIn: uint64(info.inner_bytes_in),
		InnerPacketsOut: uint64(info.inner_packets_out), InnerBytesOut: uint64(info.inner_bytes_out),
		OuterBytesIn: uint64(info.outer_bytes_in), OuterBytesOut: uint64(info.outer_bytes_out),
		PacketsDropped: uint64(info.packets_dropped),
		RTT:            micros(info.rtt_us), RTTMin: micros(info.rtt_min_us), Jitter: micros(info.jitter_us),
		LossPPM: uint32(info.loss_ppm), Listener: int(info.listener),
		Transport: transports[info.transport], Health: healths[info.health],
	}, nil
}

// Disconnect ends a session; the client may come back. ErrNotFound.
func (s Sessions) Disconnect(id uint64) error {
	var failed *C.smartvpn_error
	status := C.smartvpn_session_disconnect(s.server.native(), C.uint64_t(id), &failed)
	return failure("disconnect session", status, &failed)
}
