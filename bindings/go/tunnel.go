// The dialling end.

package smartvpn

// #include <smartvpn.h>
import "C"

import (
	"context"
	"errors"
	"runtime"
	"time"
)

// TunnelState is where a tunnel is: created, connecting, connected, waiting, connecting ... stopped.
type TunnelState int32

// The states of a tunnel.
const (
	TunnelCreated    TunnelState = C.SMARTVPN_TUNNEL_CREATED
	TunnelConnecting TunnelState = C.SMARTVPN_TUNNEL_CONNECTING
	TunnelConnected  TunnelState = C.SMARTVPN_TUNNEL_CONNECTED
	TunnelWaiting    TunnelState = C.SMARTVPN_TUNNEL_WAITING // for the moment of the next attempt
	TunnelStopped    TunnelState = C.SMARTVPN_TUNNEL_STOPPED
	TunnelClosed     TunnelState = -1 // Close was called, or it never was a tunnel
)

func (s TunnelState) String() string {
	switch s {
	case TunnelCreated:
		return "created"
	case TunnelConnecting:
		return "connecting"
	case TunnelConnected:
		return "connected"
	case TunnelWaiting:
		return "waiting"
	case TunnelStopped:
		return "stopped"
	}
	return "closed"
}

// Tunnel connects to a server, and again whenever the connection is lost, until it is closed.
type Tunnel struct {
	handle *C.smartvpn_tunnel
	life   life
}

// Dial makes a tunnel and connects it. ErrRefused when the server said no for good; when the context ends first, an
// error that wraps the context's and says what the last attempt failed of. What is left of the tunnel is then closed in
// the background.
func Dial(ctx context.Context, config TunnelConfig) (*Tunnel, error) {
	tunnel, err := NewTunnel(config)
	if err != nil {
		return nil, err
	}
	if err = tunnel.Start(); err == nil {
		err = tunnel.WaitConnected(ctx)
	}
	if err != nil {
		if ctx.Err() != nil {
			go tunnel.Close() // which may have to wait for a name
		} else {
			tunnel.Close()
		}
		return nil, err
	}
	return tunnel, nil
}

// NewTunnel makes a tunnel that does not connect yet, so that one can subscribe to its events before.
func NewTunnel(config TunnelConfig) (*Tunnel, error) {
	const op = "new tunnel"
	tunnel := &Tunnel{}
	err := withNative(op, config, func(native *C.smartvpn_config) error {
		var failed *C.smartvpn_error
		return failure(op, C.smartvpn_tunnel_create(native, &tunnel.handle, &failed), &failed)
	})
	if err != nil {
		return nil, err
	}
	runtime.SetFinalizer(tunnel, func(t *Tunnel) { go t.Close() })
	return tunnel, nil
}

func (t *Tunnel) native() *C.smartvpn_tunnel {
	if t == nil {
		return nil
	}
	return t.handle
}

// Start begins connecting and does not wait for the other side. ErrBadState unless created.
func (t *Tunnel) Start() error {
	var failed *C.smartvpn_error
	err := failure("start", C.smartvpn_tunnel_start(t.native(), &failed), &failed)
	if err == nil {
		running.Store(t, nil)
		if t.State() == TunnelClosed { // by another goroutine, before it was stored
			running.Delete(t)
		}
	}
	return err
}

// WaitConnected waits until the tunnel is connected. ErrRefused when the server said no and no further attempt will
// be made, ErrClosed when it has stopped, ErrBadState before Start. Unlike other waits it holds a thread, as Stop does.
func (t *Tunnel) WaitConnected(ctx context.Context) error {
	const op = "wait connected"
	if t == nil {
		return closedError(op)
	}
	err := slices(ctx, op, "the context has ended before the tunnel was connected", func(timeoutMS int32) error {
		var failed *C.smartvpn_error
		return failure(op, C.smartvpn_tunnel_wait_connected(t.handle, C.int32_t(timeoutMS), &failed), &failed)
	})
	var late *Error
	if errors.As(err, &late) && late.cause != nil && late.Errno == 0 {
		if info, failed := t.Info(); failed == nil && info.Attempts > 0 && info.LastReason != "" && info.LastReason != "none" {
			late.Text = "not connected, last reason " + info.LastReason
			if info.LastDetail != "" {
				late.Text += " (" + info.LastDetail + ")"
			}
		}
	}
	return err
}

// Stop tells the server, undoes addresses and routes, and ends. When the context ends first it goes on in the
// background.
func (t *Tunnel) Stop(ctx context.Context) error {
	const op = "stop"
	if t == nil {
		return closedError(op)
	}
	if err := ctx.Err(); err != nil {
		return contextError(op, nothingDone, err)
	}
	return slices(ctx, op, stoppingGoesOn, func(timeoutMS int32) error {
		var failed *C.smartvpn_error
		return failure(op, C.smartvpn_tunnel_stop(t.handle, C.int32_t(timeoutMS), &failed), &failed)
	})
}

// Close stops, if that is still to be done, and frees everything. It may have to wait until the system gives up a name
// that is being resolved. Closing again is fine.
func (t *Tunnel) Close() error {
	if t == nil {
		return nil
	}
	t.life.closing.Do(func() {
		if t.handle != nil {
			runtime.SetFinalizer(t, nil)
		}
		t.life.err = failure("close", C.smartvpn_tunnel_free(t.handle), nil)
		running.Delete(t)
	})
	return t.life.err
}

// State says where the tunnel is.
func (t *Tunnel) State() TunnelState {
	state := TunnelState(C.smartvpn_tunnel_state(t.native()))
	if state < 0 {
		return TunnelClosed
	}
	return state
}

// TunnelInfo is how a tunnel is doing. "In" is from the server.
type TunnelInfo struct {
	State               string   `json:"state"`
	Server              string   `json:"server"` // URL
	ServerAddr          string   `json:"server_addr"`
	Addresses           []string `json:"addresses"` // inner; there once connected
	DNS                 []string `json:"dns"`
	Routes              []string `json:"routes"`
	MTU                 int      `json:"mtu"`
	Device              string   `json:"device"`
	NextServerPublicKey string   `json:"next_server_public_key"` // write it into your configuration
	Since               Time     `json:"since"`
	Attempts            uint64   `json:"attempts"`
	LastReason          string   `json:"last_reason"`
	LastDetail          string   `json:"last_detail"`
	Traffic
	Quality
}

// Info says how the tunnel is doing.
func (t *Tunnel) Info() (TunnelInfo, error) {
	const op = "tunnel info"
	var out TunnelInfo
	data, err := readText(op, func(buf *C.char, size C.size_t, needed *C.size_t, failed **C.smartvpn_error) C.smartvpn_status {
		return C.smartvpn_tunnel_info(t.native(), buf, size, needed, failed)
	})
	if err != nil {
		return out, err
	}
	return out, decode(op, data, &out)
}

// Stats takes a snapshot of the tunnel's counters. Close it.
func (t *Tunnel) Stats() (*Stats, error) {
	return newStats("tunnel stats", func(out **C.smartvpn_stats, failed **C.smartvpn_error) C.smartvpn_status {
		return C.smartvpn_tunnel_stats(t.native(), out, failed)
	})
}

// Traffic are the counters of packets and bytes. Inner: the packets inside the tunnel; outer: what the carrier took.
type Traffic struct {
	InnerPacketsIn   uint64            `json:"inner_packets_in"`
	InnerBytesIn     uint64            `json:"inner_bytes_in"`
	InnerPacketsOut  uint64            `json:"inner_packets_out"`
	InnerBytesOut    uint64            `json:"inner_bytes_out"`
	OuterMessagesIn  uint64            `json:"outer_messages_in"`
	OuterBytesIn     uint64            `json:"outer_bytes_in"`
	OuterMessagesOut uint64            `json:"outer_messages_out"`
	OuterBytesOut    uint64            `json:"outer_bytes_out"`
	Drops            map[string]uint64 `json:"drops"` // packets by reason; absent is 0
}

// Quality is how good a connection is.
type Quality struct {
	RTTMicros    uint32  `json:"rtt_us"` // smoothed; 0 before the first sample, as the next two
	RTTMinMicros uint32  `json:"rtt_min_us"`
	JitterMicros uint32  `json:"jitter_us"`
	LossPPM      *uint32 `json:"loss_ppm"` // nil where the carrier cannot lose
	Health       string  `json:"health"`   // "good", "fair", "poor", "dead"
}

// RTT is the smoothed round-trip time, 0 before the first sample.
func (q Quality) RTT() time.Duration { return time.Duration(q.RTTMicros) * time.Microsecond }
