// The last word on every session, said by a Go function. One goroutine takes requests; each is decided in a goroutine
// of its own, so many as Authorizer.Concurrency at a time.

package smartvpn

// #include "native.h"
import "C"

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"runtime/debug"
	"sync/atomic"
	"time"
	"unsafe"
)

const defaultConcurrency = 64

// Request asks whether a session may begin: the client has proven its key and passed every list and limit.
type Request struct {
	Token      uint64            `json:"token"`
	ClientID   string            `json:"client_id"`
	Listener   int               `json:"listener"`
	Transport  Transport         `json:"transport"`
	RemoteAddr string            `json:"remote_addr"` // real; "" if unknown
	PeerAddr   string            `json:"peer_addr"`
	TLVs       map[string]string `json:"tlvs"`
	Deadline   Time              `json:"deadline"` // after it the library has denied
}

// Decision is an answer. Its zero value denies.
type Decision struct {
	Allow      bool
	ValidFor   time.Duration // the same client, address and transport come in without a question; at most a day
	SessionFor time.Duration // then the session ends; rounded up to whole seconds, 0: no limit
	RateLimit  *RateLimit    // for this session; the narrower of it and the client's holds
	Detail     string        // of a denial, for events
}

// Allow lets a session begin.
func Allow() Decision { return Decision{Allow: true} }

// Deny refuses a session, and events say why.
func Deny(detail string) Decision { return Decision{Detail: detail} }

// Authorizer decides about sessions.
type Authorizer struct {
	// Decide gives the answer. Its context ends at the request's deadline, and when the server stops; what it says
	// afterwards is not heard. What panics in it is recovered and denied.
	Decide func(ctx context.Context, request Request) Decision
	// Concurrency bounds how many run at a time; 0: 64. Further requests wait, and their deadlines run.
	Concurrency int
	// OnError, if set, is told of panics in Decide (as *PanicError) and of decisions the library has refused.
	OnError func(request Request, err error)
}

// PanicError is a panic that was recovered.
type PanicError struct {
	Value interface{} // nil when the goroutine was ended by runtime.Goexit
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("smartvpn: panic in authorize: %v", e.Value) }

// Authorize has every session decided by this function from now on, until the server stops. The configuration has to
// say Security.Authorize "required", else ErrBadState. ErrExists if somebody decides already.
func (s *Server) Authorize(decide func(ctx context.Context, request Request) Decision) error {
	return s.AuthorizeWith(Authorizer{Decide: decide})
}

// AuthorizeWith is Authorize with options.
func (s *Server) AuthorizeWith(authorizer Authorizer) error {
	const op = "authorize"
	if s == nil || s.handle == nil {
		return closedError(op)
	}
	if authorizer.Decide == nil || authorizer.Concurrency < 0 {
		return invalid(op, "", "Decide is nil, or Concurrency negative")
	}
	if authorizer.Concurrency == 0 {
		authorizer.Concurrency = defaultConcurrency
	}
	if !s.authorizing.CompareAndSwap(false, true) {
		return &Error{Op: op, Status: ErrExists, Text: "somebody decides already"}
	}
	fd, errno := C.svpn_dup_authorize(s.handle)
	wait, err := newWaiter(op, int32(fd), errno)
	if err != nil {
		s.authorizing.Store(false)
		return err
	}
	texts := C.svpn_texts_new()
	if texts == nil {
		wait.close()
		s.authorizing.Store(false)
		return &Error{Op: op, Status: ErrNoMemory}
	}
	gate := &gatekeeper{Authorizer: authorizer, server: s.handle, ended: s.life.ended, busy: s.authorizing,
		wait: wait, texts: texts, slots: make(chan struct{}, authorizer.Concurrency)}
	go gate.pump()
	return nil
}

// gatekeeper has no *Server, so that a server that is forgotten before it starts goes with the collector.
type gatekeeper struct {
	Authorizer
	server *C.smartvpn_server
	ended  <-chan struct{}
	busy   *atomic.Bool
	wait   *waiter
	texts  *C.svpn_texts
	slots  chan struct{} // held by decisions
}

func (g *gatekeeper) pump() {
	ctx, cancel := context.WithCancel(context.Background())
	defer func() {
		cancel()
		g.wait.close()
		C.svpn_texts_free(g.texts)
		g.busy.Store(false)
	}()
	go func() { // once the server stops nobody is asked any more, even while it drains
		select {
		case <-g.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	for {
		if acquire(ctx, g.slots) != nil {
			return
		}
		request, err := g.next(ctx)
		if err != nil {
			return
		}
		go g.answer(ctx, request)
	}
}

// next waits for a request. An error says that the server has stopped.
func (g *gatekeeper) next(ctx context.Context) (Request, error) {
	var request Request
	var status C.smartvpn_status
	take := func(uintptr) bool {
		status = C.svpn_requests_take(g.server, g.texts)
		return Status(status) != again
	}
	for {
		if err := g.wait.until(ctx, take); err != nil {
			return request, err
		}
		switch Status(status) {
		case C.SMARTVPN_OK:
			line := C.GoBytes(unsafe.Pointer(g.texts.data), C.int(g.texts.length))
			if err := json.Unmarshal(line, &request); err == nil {
				return request, nil
			}
		case ErrNoMemory: // that request runs into its deadline
		default:
			return request, failure("authorize", status, nil)
		}
	}
}

// answer decides about one request. Whatever Decide does, there is an answer.
func (g *gatekeeper) answer(ctx context.Context, request Request) {
	ctx, cancel := context.WithDeadline(ctx, request.Deadline.Time)
	decision, returned := Deny("the decision panicked"), false
	defer func() {
		late := ctx.Err() != nil // the library denies, with the reason authorize_timeout
		cancel()
		defer func() { <-g.slots }()
		if !returned {
			problem := &PanicError{Value: recover(), Stack: debug.Stack()}
			_ = g.send(request, decision)
			g.report(request, problem)
			return
		}
		if late {
			return
		}
		if err := g.send(request, decision); err != nil {
			_ = g.send(request, Deny("the decision was refused"))
			g.report(request, err)
		}
	}()
	decided := g.Decide(ctx, request)
	decision, returned = decided, true
}

// report tells the hook, whose own panic ends nothing.
func (g *gatekeeper) report(request Request, err error) {
	defer func() { _ = recover() }()
	if g.OnError != nil {
		g.OnError(request, err)
	}
}

// send answers; nil also when it comes too late.
func (g *gatekeeper) send(request Request, decision Decision) error {
	const op = "authorize answer"
	answer := map[string]interface{}{"allow": decision.Allow}
	if !decision.Allow && decision.Detail != "" {
		answer["detail"] = decision.Detail
	}
	if decision.Allow {
		if decision.ValidFor != 0 {
			answer["valid_ms"] = decision.ValidFor.Milliseconds()
		}
		if decision.SessionFor != 0 {
			answer["session_seconds"] = int64(math.Ceil(decision.SessionFor.Seconds()))
		}
		if decision.RateLimit != nil {
			answer["rate_limit"] = decision.RateLimit
		}
	}
	data, err := encode(op, answer)
	if err != nil {
		return err
	}
	var failed *C.smartvpn_error
	text, length := cBytes(data)
	status := C.smartvpn_authorize_answer(g.server, C.uint64_t(request.Token), text, length, &failed)
	err = failure(op, status, &failed)
	if status == C.SMARTVPN_NOT_FOUND || isClosed(err) || status == C.SMARTVPN_BAD_STATE {
		return nil
	}
	return err
}
