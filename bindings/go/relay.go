// The layer-4 relay: created, running, draining, stopped, closed.

package smartvpn

// #include <smartvpn.h>
import "C"

import (
	"context"
	"math"
	"runtime"
	"time"
)

// RelayState is where a relay is in its life, which it goes through once.
type RelayState int32

// The states of a relay.
const (
	RelayCreated  RelayState = C.SMARTVPN_RELAY_CREATED
	RelayRunning  RelayState = C.SMARTVPN_RELAY_RUNNING
	RelayDraining RelayState = C.SMARTVPN_RELAY_DRAINING
	RelayStopped  RelayState = C.SMARTVPN_RELAY_STOPPED
	RelayClosed   RelayState = -1 // Close was called, or it never was a relay
)

func (s RelayState) String() string {
	switch s {
	case RelayCreated:
		return "created"
	case RelayRunning:
		return "running"
	case RelayDraining:
		return "draining"
	case RelayStopped:
		return "stopped"
	}
	return "closed"
}

// Relay takes TCP connections, learns who the client is, and hands them on to targets, telling them the client's
// address. Make one with NewRelay and Close it.
type Relay struct {
	handle *C.smartvpn_relay // no address; a dead one is found out by the library
	life   life

	eventQueue int // RelayConfig.Limits.EventQueue

	connectionsSize textSize
}

// NewRelay makes a relay of a configuration; wrong ones are refused with the path of the key at fault. It reads
// certificate files, and opens no socket yet.
func NewRelay(config RelayConfig) (*Relay, error) {
	const op = "new relay"
	relay := &Relay{eventQueue: config.Limits.EventQueue}
	err := withNative(op, config, func(native *C.smartvpn_config) error {
		var failed *C.smartvpn_error
		return failure(op, C.smartvpn_relay_create(native, &relay.handle, &failed), &failed)
	})
	if err != nil {
		return nil, err
	}
	runtime.SetFinalizer(relay, func(r *Relay) { go r.Close() })
	return relay, nil
}

func (r *Relay) native() *C.smartvpn_relay {
	if r == nil {
		return nil
	}
	return r.handle
}

// Start binds and starts the library's threads. When it returns clients can connect. ErrBadState unless created;
// ErrSystem, with errno and path, for what the system refuses.
func (r *Relay) Start() error {
	var failed *C.smartvpn_error
	err := failure("start", C.smartvpn_relay_start(r.native(), &failed), &failed)
	if err == nil {
		running.Store(r, nil)
		if r.State() == RelayClosed { // by another goroutine, before it was stored
			running.Delete(r)
		}
	}
	return err
}

// Stop takes no new connections, lets those that are there go on for up to `drain`, and ends. Events that are queued
// can still be read. When the context ends first, stopping goes on in the background. Stopping a relay that has
// stopped, or never ran, is fine.
func (r *Relay) Stop(ctx context.Context, drain time.Duration) error {
	const op = "stop"
	if drain < 0 || drain/time.Millisecond > math.MaxInt32 {
		return invalid(op, "", "drain is negative or too long")
	}
	if r == nil {
		return closedError(op)
	}
	if err := ctx.Err(); err != nil {
		return contextError(op, nothingDone, err)
	}
	return slices(ctx, op, stoppingGoesOn, func(timeoutMS int32) error {
		var failed *C.smartvpn_error
		status := C.smartvpn_relay_stop(r.handle, C.int32_t(drain/time.Millisecond), C.int32_t(timeoutMS), &failed)
		return failure(op, status, &failed)
	})
}

// Close stops at once, without draining, if that is still to be done, and frees everything. Closing again, from any
// goroutine, waits for the same end and is fine.
func (r *Relay) Close() error {
	if r == nil {
		return nil
	}
	r.life.closing.Do(func() {
		if r.handle != nil { // a zero value may lie inside another one, where no finalizer can be taken away
			runtime.SetFinalizer(r, nil)
		}
		r.life.err = failure("close", C.smartvpn_relay_free(r.handle), nil)
		running.Delete(r)
	})
	return r.life.err
}

// State says where the relay is in its life.
func (r *Relay) State() RelayState {
	state := RelayState(C.smartvpn_relay_state(r.native()))
	if state < 0 {
		return RelayClosed
	}
	return state
}

// RelayEndpoint is an address the relay listens on.
type RelayEndpoint struct {
	Listener  int    `json:"listener"`  // index into RelayConfig.Listen
	Transport string `json:"transport"` // "tcp", "udp"
	Address   string `json:"address"`   // "127.0.0.1:40123", with the port the kernel chose
}

// Endpoints says what the relay listens on; empty before Start.
func (r *Relay) Endpoints() ([]RelayEndpoint, error) {
	const op = "endpoints"
	data, err := readText(op, func(buf *C.char, size C.size_t, needed *C.size_t, failed **C.smartvpn_error) C.smartvpn_status {
		return C.smartvpn_relay_endpoints(r.native(), buf, size, needed, failed)
	})
	if err != nil {
		return nil, err
	}
	var out []RelayEndpoint
	return out, decode(op, data, &out)
}

// Reconfigure compares the configuration with the running one and applies at once what can be applied. All or
// nothing: on failure the relay runs on as before. Connections that are there go on as they began. With dryRun it only
// says what would happen.
func (r *Relay) Reconfigure(config RelayConfig, dryRun bool) ([]Change, error) {
	if r == nil {
		return nil, closedError("reconfigure")
	}
	return reconfigure(config, dryRun, func(native *C.smartvpn_config, flags C.uint32_t, out **C.smartvpn_changes, failed **C.smartvpn_error) C.smartvpn_status {
		return C.smartvpn_relay_reconfigure(r.handle, native, flags, out, failed)
	})
}

// SetServer says where routes of type "vpn" lead: into this server, at its first WebSocket listener, with the real address
// that the relay knows. nil: nowhere, as at first; such a connection is then refused, as it is once the server has stopped.
func (r *Relay) SetServer(server *Server) error {
	const op = "set server"
	if server != nil && server.handle == nil {
		return closedError(op) // a zero value, which must not stand for nowhere
	}
	var failed *C.smartvpn_error
	return failure(op, C.smartvpn_relay_set_server(r.native(), server.native(), &failed), &failed)
}

// ReloadCertificates reads certificate and key files again. On failure the old ones stay in use. ErrBadState unless
// running.
func (r *Relay) ReloadCertificates() error {
	var failed *C.smartvpn_error
	return failure("reload certificates", C.smartvpn_relay_reload_certificates(r.native(), &failed), &failed)
}

// Stats takes a snapshot of the relay's counters, of which RelayFigures makes a struct. Close it. "In" is from clients.
func (r *Relay) Stats() (*Stats, error) {
	return newStats("relay stats", func(out **C.smartvpn_stats, failed **C.smartvpn_error) C.smartvpn_status {
		return C.smartvpn_relay_stats(r.native(), out, failed)
	})
}

// RelayConnection is an open connection. "In" is from the client.
type RelayConnection struct {
	ID         uint64            `json:"id"`
	Listener   int               `json:"listener"`    // index into RelayConfig.Listen
	Transport  string            `json:"transport"`   // "tcp"; "udp": a client's datagrams
	PeerAddr   string            `json:"peer_addr"`   // the socket's, which may be a proxy
	RemoteAddr string            `json:"remote_addr"` // the client's real address; "" if unknown
	Vouched    bool              `json:"vouched"`     // a trusted proxy has said it
	ClientID   string            `json:"client_id"`   // the VPN client it is of; "" if unknown
	TLVs       map[string]string `json:"tlvs"`        // of the PROXY header
	Host       string            `json:"host"`        // the name the client asked for; "" if unknown
	Route      string            `json:"route"`
	Stage      string            `json:"stage"` // "header", "hello", "handshake", "connecting", "relaying"
	Target     string            `json:"target"`
	BytesIn    uint64            `json:"bytes_in"`
	BytesOut   uint64            `json:"bytes_out"`
	Since      Time              `json:"since"`
}

// Connections gives all open connections, in order of id. ErrBadState before Start and after Stop.
func (r *Relay) Connections() ([]RelayConnection, error) {
	const op = "list connections"
	if r == nil {
		return nil, closedError(op)
	}
	data, err := r.connectionsSize.read(op, func(buf *C.char, size C.size_t, needed *C.size_t, failed **C.smartvpn_error) C.smartvpn_status {
		return C.smartvpn_relay_connections(r.handle, buf, size, needed, failed)
	})
	if err != nil {
		return nil, err
	}
	var out []RelayConnection
	return out, decode(op, data, &out)
}

// Disconnect ends a connection with reason "disconnected". ErrNotFound.
func (r *Relay) Disconnect(id uint64) error {
	var failed *C.smartvpn_error
	return failure("disconnect", C.smartvpn_relay_disconnect(r.native(), C.uint64_t(id), &failed), &failed)
}
