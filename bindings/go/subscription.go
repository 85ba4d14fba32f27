// Subscriptions: one goroutine takes events in batches and sends them to a channel. It waits in Go's poller and is
// woken by smartvpn_events_interrupt.

package smartvpn

// #include "native.h"
import "C"

import (
	"context"
	"errors"
	"sync"
	"unsafe"
)

const defaultEventCapacity = 4096

// SubscribeOptions are about a subscription.
type SubscribeOptions struct {
	Types    []EventType // none: all
	Capacity int         // events the library holds in each lane, put into 2..1048576; 0: the server's or relay's Limits.EventQueue, or 4096
}

// Subscription gives events through C, which is closed at the end. The library holds a bounded queue behind it: who
// reads too slowly loses events, is told how many by a Lost event, and holds nobody up. It ends when its server
// (tunnel, relay) has stopped and everything was read, when its context ends, or by Close. One that is neither read to its
// end nor cancelled keeps its goroutine.
type Subscription struct {
	C <-chan Event

	handle *C.smartvpn_events
	wait   *waiter
	texts  *C.svpn_texts
	out    chan Event
	quit   chan struct{} // closed by Close
	done   chan struct{} // closed when the goroutine is gone
	once   sync.Once
	err    error
}

// opener is smartvpn_events_open, smartvpn_tunnel_events_open or smartvpn_relay_events_open.
type opener func(mask C.uint64_t, capacity C.size_t, out **C.smartvpn_events, failed **C.smartvpn_error) C.smartvpn_status

// Subscribe begins a subscription of these types of events, of all without any. Open it before Start to miss
// nothing. ErrClosed when the server has stopped.
func (s *Server) Subscribe(ctx context.Context, types ...EventType) (*Subscription, error) {
	return s.SubscribeWith(ctx, SubscribeOptions{Types: types})
}

// SubscribeWith is Subscribe with options.
func (s *Server) SubscribeWith(ctx context.Context, options SubscribeOptions) (*Subscription, error) {
	if options.Capacity == 0 && s != nil {
		options.Capacity = s.eventQueue
	}
	return subscribe(ctx, options, func(mask C.uint64_t, capacity C.size_t, out **C.smartvpn_events, failed **C.smartvpn_error) C.smartvpn_status {
		return C.smartvpn_events_open(s.native(), mask, capacity, out, failed)
	})
}

// Events is Subscribe for those who only want the channel.
func (s *Server) Events(ctx context.Context, types ...EventType) (<-chan Event, error) {
	return channelOf(s.Subscribe(ctx, types...))
}

// Subscribe is as a server's.
func (t *Tunnel) Subscribe(ctx context.Context, types ...EventType) (*Subscription, error) {
	return t.SubscribeWith(ctx, SubscribeOptions{Types: types})
}

// SubscribeWith is as a server's.
func (t *Tunnel) SubscribeWith(ctx context.Context, options SubscribeOptions) (*Subscription, error) {
	return subscribe(ctx, options, func(mask C.uint64_t, capacity C.size_t, out **C.smartvpn_events, failed **C.smartvpn_error) C.smartvpn_status {
		return C.smartvpn_tunnel_events_open(t.native(), mask, capacity, out, failed)
	})
}

// Events is as a server's.
func (t *Tunnel) Events(ctx context.Context, types ...EventType) (<-chan Event, error) {
	return channelOf(t.Subscribe(ctx, types...))
}

// Subscribe is as a server's.
func (r *Relay) Subscribe(ctx context.Context, types ...EventType) (*Subscription, error) {
	return r.SubscribeWith(ctx, SubscribeOptions{Types: types})
}

// SubscribeWith is as a server's.
func (r *Relay) SubscribeWith(ctx context.Context, options SubscribeOptions) (*Subscription, error) {
	if options.Capacity == 0 && r != nil {
		options.Capacity = r.eventQueue
	}
	return subscribe(ctx, options, func(mask C.uint64_t, capacity C.size_t, out **C.smartvpn_events, failed **C.smartvpn_error) C.smartvpn_status {
		return C.smartvpn_relay_events_open(r.native(), mask, capacity, out, failed)
	})
}

// Events is as a server's.
func (r *Relay) Events(ctx context.Context, types ...EventType) (<-chan Event, error) {
	return channelOf(r.Subscribe(ctx, types...))
}

func channelOf(s *Subscription, err error) (<-chan Event, error) {
	if err != nil {
		return nil, err
	}
	return s.C, nil
}

func subscribe(ctx context.Context, options SubscribeOptions, open opener) (*Subscription, error) {
	const op = "events"
	if err := ctx.Err(); err != nil {
		return nil, contextError(op, nothingDone, err)
	}
	mask, err := maskOf(options.Types)
	if err != nil {
		return nil, err
	}
	capacity := options.Capacity
	if capacity == 0 {
		capacity = defaultEventCapacity
	}
	if capacity < 0 {
		return nil, invalid(op, "", "the capacity is negative")
	}
	var handle *C.smartvpn_events
	var failed *C.smartvpn_error
	if err := failure(op, open(mask, C.size_t(capacity), &handle, &failed), &failed); err != nil {
		return nil, err
	}
	fd, errno := C.svpn_dup_events(handle)
	wait, err := newWaiter(op, int32(fd), errno)
	if err != nil {
		C.smartvpn_events_free(handle)
		return nil, err
	}
	texts := C.svpn_texts_new()
	if texts == nil {
		wait.close()
		C.smartvpn_events_free(handle)
		return nil, &Error{Op: op, Status: ErrNoMemory}
	}
	out := make(chan Event, C.SVPN_BATCH)
	s := &Subscription{C: out, handle: handle, wait: wait, texts: texts, out: out,
		quit: make(chan struct{}), done: make(chan struct{})}
	go s.pump(ctx)
	go s.watch(ctx)
	return s, nil
}

// watch turns the end of the context, or Close, into an interrupt, which the waiting pump sees.
func (s *Subscription) watch(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-s.quit:
	case <-s.done:
		return
	}
	C.smartvpn_events_interrupt(s.handle, nil)
}

func (s *Subscription) pump(ctx context.Context) {
	s.err = s.run(ctx)
	s.wait.close()
	C.svpn_texts_free(s.texts)
	C.smartvpn_events_free(s.handle)
	close(s.done)
	close(s.out)
}

// run gives nil when the subscription has come to its end. A batch may swallow the interrupt that came behind its
// events, so what the interrupt was about is looked at after each.
func (s *Subscription) run(ctx context.Context) error {
	var status C.smartvpn_status
	take := func(uintptr) bool {
		status = C.svpn_events_take(s.handle, s.texts)
		return Status(status) != again
	}
	for {
		if err := s.wait.until(context.Background(), take); err != nil {
			return err
		}
		switch Status(status) {
		case C.SMARTVPN_OK:
			if err := s.deliver(ctx); err != nil || s.isQuit() {
				return err
			}
		case interrupted:
			return ctx.Err() // nil after Close
		case ErrClosed, badHandle:
			return nil
		default:
			return failure("events", status, nil)
		}
	}
}

// deliver sends what was taken.
func (s *Subscription) deliver(ctx context.Context) error {
	all := C.GoBytes(unsafe.Pointer(s.texts.data), C.int(s.texts.length))
	begin := C.size_t(0)
	for i := 0; i < int(s.texts.count); i++ {
		end := s.texts.ends[i]
		event, err := parseEvent(EventType(s.texts.tags[i]), all[begin:end:end])
		if err != nil {
			return err
		}
		begin = end
		select {
		case s.out <- event:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.quit:
			return nil
		}
	}
	return ctx.Err()
}

func (s *Subscription) isQuit() bool {
	select {
	case <-s.quit:
		return true
	default:
		return false
	}
}

// Err says why C was closed, and waits until it is: nil at the regular end and after Close, else the context's error
// or what went wrong.
func (s *Subscription) Err() error {
	if s == nil || s.done == nil {
		return ErrClosed
	}
	<-s.done
	return s.err
}

// Close ends the subscription and waits until its goroutine is gone. Closing again is fine.
func (s *Subscription) Close() error {
	if s == nil || s.quit == nil {
		return nil
	}
	s.once.Do(func() { close(s.quit) })
	if err := s.Err(); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}
