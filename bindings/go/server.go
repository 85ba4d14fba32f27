// The server: created, running, draining, stopped, closed.

package smartvpn

// #include <smartvpn.h>
import "C"

import (
	"context"
	"errors"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// ServerState is where a server is in its life, which it goes through once.
type ServerState int32

// The states of a server.
const (
	ServerCreated  ServerState = C.SMARTVPN_SERVER_CREATED
	ServerRunning  ServerState = C.SMARTVPN_SERVER_RUNNING
	ServerDraining ServerState = C.SMARTVPN_SERVER_DRAINING
	ServerStopped  ServerState = C.SMARTVPN_SERVER_STOPPED
	ServerClosed   ServerState = -1 // Close was called, or it never was a server
)

func (s ServerState) String() string {
	switch s {
	case ServerCreated:
		return "created"
	case ServerRunning:
		return "running"
	case ServerDraining:
		return "draining"
	case ServerStopped:
		return "stopped"
	}
	return "closed"
}

// Server is a VPN server in this process. Make one with NewServer and Close it.
type Server struct {
	handle *C.smartvpn_server // no address; a dead one is found out by the library
	life   life

	authorizing *atomic.Bool // shared with the gatekeeper, which must not keep the server from the collector

	eventQueue int // Config.Limits.EventQueue

	sessionsSize, clientsSize textSize
}

// life is what servers, tunnels and relays share: closed once.
type life struct {
	closing sync.Once
	err     error
	ending  sync.Once
	ended   chan struct{} // closed when Stop or Close has been called
}

func (l *life) end() {
	l.ending.Do(func() {
		if l.ended != nil {
			close(l.ended)
		}
	})
}

// running keeps what has started from the collector: a server that its owner no longer mentions still serves.
var running sync.Map

// NewServer makes a server of a configuration; wrong ones are refused with the path of the key at fault. It reads
// certificate files, and opens no socket yet.
func NewServer(config Config) (*Server, error) {
	const op = "new server"
	server := &Server{life: life{ended: make(chan struct{})}, authorizing: new(atomic.Bool), eventQueue: config.Limits.EventQueue}
	err := withNative(op, config, func(native *C.smartvpn_config) error {
		var failed *C.smartvpn_error
		return failure(op, C.smartvpn_server_create(native, &server.handle, &failed), &failed)
	})
	if err != nil {
		return nil, err
	}
	runtime.SetFinalizer(server, func(s *Server) { go s.Close() })
	return server, nil
}

func (s *Server) native() *C.smartvpn_server {
	if s == nil {
		return nil
	}
	return s.handle
}

// Start opens the device, binds and starts the library's threads. When it returns clients can connect. ErrBadState
// unless created; ErrSystem, with errno and path, for what the system refuses.
func (s *Server) Start() error {
	var failed *C.smartvpn_error
	err := failure("start", C.smartvpn_server_start(s.native(), &failed), &failed)
	if err == nil {
		running.Store(s, nil)
		if s.State() == ServerClosed { // by another goroutine, before it was stored
			running.Delete(s)
		}
	}
	return err
}

const stoppingGoesOn = "the context has ended; stopping goes on"

// Stop takes no new clients, lets live sessions go on for up to `drain`, tells them and ends. Events that are queued
// can still be read. When the context ends first, stopping goes on in the background. From several goroutines: all
// wait for the same end. Stopping a server that has stopped, or never ran, is fine.
func (s *Server) Stop(ctx context.Context, drain time.Duration) error {
	const op = "stop"
	if drain < 0 || drain/time.Millisecond > math.MaxInt32 {
		return invalid(op, "", "drain is negative or too long")
	}
	if s == nil {
		return closedError(op)
	}
	if err := ctx.Err(); err != nil {
		return contextError(op, nothingDone, err)
	}
	s.life.end()
	return slices(ctx, op, stoppingGoesOn, func(timeoutMS int32) error {
		var failed *C.smartvpn_error
		status := C.smartvpn_server_stop(s.handle, C.int32_t(drain/time.Millisecond), C.int32_t(timeoutMS), &failed)
		return failure(op, status, &failed)
	})
}

// Close stops at once, without draining, if that is still to be done, and frees everything. Whoever waits in this
// server gets ErrClosed. Closing again, from any goroutine, waits for the same end and is fine.
func (s *Server) Close() error {
	if s == nil {
		return nil
	}
	s.life.closing.Do(func() {
		if s.handle != nil { // a zero value may lie inside another one, where no finalizer can be taken away
			runtime.SetFinalizer(s, nil)
		}
		s.life.end()
		s.life.err = failure("close", C.smartvpn_server_free(s.handle), nil)
		running.Delete(s)
	})
	return s.life.err
}

// State says where the server is in its life.
func (s *Server) State() ServerState {
	state := ServerState(C.smartvpn_server_state(s.native()))
	if state < 0 {
		return ServerClosed
	}
	return state
}

// Endpoint is an address the server listens on.
type Endpoint struct {
	Listener  int       `json:"listener"` // index into Config.Listen
	Transport Transport `json:"transport"`
	Address   string    `json:"address"` // "127.0.0.1:40123", with the port the kernel chose
}

// Endpoints says what the server listens on; empty unless running or draining.
func (s *Server) Endpoints() ([]Endpoint, error) {
	const op = "endpoints"
	data, err := readText(op, func(buf *C.char, size C.size_t, needed *C.size_t, failed **C.smartvpn_error) C.smartvpn_status {
		return C.smartvpn_server_endpoints(s.native(), buf, size, needed, failed)
	})
	if err != nil {
		return nil, err
	}
	var out []Endpoint
	return out, decode(op, data, &out)
}

// ReloadCertificates reads certificate and key files again. On failure the old ones stay in use.
func (s *Server) ReloadCertificates() error {
	var failed *C.smartvpn_error
	return failure("reload certificates", C.smartvpn_server_reload_certificates(s.native(), &failed), &failed)
}

// Change says what became of a key that a new configuration has changed.
type Change struct {
	Path   string `json:"path"`
	Result string `json:"result"` // "applied", "needs_listener_restart", "needs_server_restart"
}

// Reconfigure compares the configuration with the running one and applies at once what can be applied. All or
// nothing: on failure the server runs on as before. With dryRun it only says what would happen.
func (s *Server) Reconfigure(config Config, dryRun bool) ([]Change, error) {
	if s == nil {
		return nil, closedError("reconfigure")
	}
	return reconfigure(config, dryRun, func(native *C.smartvpn_config, flags C.uint32_t, out **C.smartvpn_changes, failed **C.smartvpn_error) C.smartvpn_status {
		return C.smartvpn_server_reconfigure(s.handle, native, flags, out, failed)
	})
}

// reconfigurer is smartvpn_server_reconfigure or smartvpn_relay_reconfigure.
type reconfigurer func(native *C.smartvpn_config, flags C.uint32_t, out **C.smartvpn_changes, failed **C.smartvpn_error) C.smartvpn_status

func reconfigure(config source, dryRun bool, call reconfigurer) ([]Change, error) {
	const op = "reconfigure"
	flags := C.uint32_t(0)
	if dryRun {
		flags = C.SMARTVPN_RECONFIGURE_DRY_RUN
	}
	var out []Change
	err := withNative(op, config, func(native *C.smartvpn_config) error {
		var changes *C.smartvpn_changes
		var failed *C.smartvpn_error
		status := call(native, flags, &changes, &failed)
		if err := failure(op, status, &failed); err != nil {
			return err
		}
		defer C.smartvpn_changes_free(changes)
		return decode(op, []byte(C.GoString(C.smartvpn_changes_json(changes))), &out)
	})
	return out, err
}

// isClosed says that an error means the end rather than a failure.
func isClosed(err error) bool { return errors.Is(err, ErrClosed) }
