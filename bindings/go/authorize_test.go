// A Go function has the last word on every session.

package smartvpn_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	smartvpn "github.com/smartvpn/smartvpn/bindings/go"
)

func askingServer(t testing.TB, timeoutMS int) *smartvpn.Server {
	t.Helper()
	config := serverConfig(t, "testing")
	config.Security.Authorize = "required"
	config.Security.AuthorizeTimeoutMS = timeoutMS
	return newServer(t, config)
}

// rejected dials once as this client and gives the event that says why it was refused.
func rejected(t testing.TB, server *smartvpn.Server, id string) smartvpn.Event {
	t.Helper()
	events := subscribe(t, server, smartvpn.ConnectionRejected)
	config := tunnelConfig(t, server, id)
	config.Reconnect = &smartvpn.Reconnect{Enabled: smartvpn.Ptr(false)}
	_, err := smartvpn.Dial(patient(t), config)
	fails(t, err, smartvpn.ErrRefused)
	return nextOf(t, events.C, smartvpn.ConnectionRejected)
}

func TestADecisionLetsInOrRefuses(t *testing.T) {
	server := askingServer(t, 20000)
	asked := make(chan smartvpn.Request, 10)
	ok(t, server.Authorize(func(ctx context.Context, request smartvpn.Request) smartvpn.Decision {
		if end, is := ctx.Deadline(); !is || !end.Equal(request.Deadline.Time) {
			t.Errorf("the context ends at %v, the request at %v", end, request.Deadline)
		}
		asked <- request
		if request.ClientID == "mallory" {
			return smartvpn.Deny("unpaid")
		}
		return smartvpn.Decision{Allow: true, SessionFor: time.Hour, ValidFor: time.Minute,
			RateLimit: &smartvpn.RateLimit{ToClientBytesPerSecond: 1000000}}
	}))
	fails(t, server.Authorize(func(context.Context, smartvpn.Request) smartvpn.Decision { return smartvpn.Allow() }), smartvpn.ErrExists)
	ok(t, server.Start())
	dial(t, tunnelConfig(t, server, "alice"))
	if request := <-asked; request.ClientID != "alice" || request.Token == 0 || request.RemoteAddr == "" || request.RemoteAddr != request.PeerAddr {
		t.Fatalf("%+v", request)
	}
	if event := rejected(t, server, "mallory"); event.Reason != "authorize_denied" || event.Detail != "unpaid" {
		t.Fatalf("%s", event)
	}
}

func TestAPanicDeniesAtOnceIsToldAndEndsNothing(t *testing.T) {
	told := make(chan error, 10)
	authorizer := smartvpn.Authorizer{
		Decide: func(_ context.Context, request smartvpn.Request) smartvpn.Decision {
			switch request.ClientID {
			case "panic":
				panic("mine")
			case "goexit":
				runtime.Goexit()
			case "wrong":
				return smartvpn.Decision{Allow: true, ValidFor: 1000 * time.Hour}
			}
			return smartvpn.Allow()
		},
		OnError: func(_ smartvpn.Request, err error) {
			told <- err
			panic("in the hook too")
		},
	}
	for id, detail := range map[string]string{"panic": "the decision panicked", "goexit": "the decision panicked", "wrong": "the decision was refused"} {
		server := askingServer(t, 60000) // the test would not wait for that
		ok(t, server.AuthorizeWith(authorizer))
		ok(t, server.Start())
		if event := rejected(t, server, id); event.Reason != "authorize_denied" || event.Detail != detail {
			t.Fatalf("%s", event)
		}
		err := <-told
		var panicked *smartvpn.PanicError
		switch {
		case id == "wrong":
			fails(t, err, smartvpn.ErrInvalid)
		case !errors.As(err, &panicked) || len(panicked.Stack) == 0 || (id == "panic") != (panicked.Value == "mine"):
			t.Fatalf("%v", err)
		}
		dial(t, tunnelConfig(t, server, "alice"))
	}
}

func TestAnUnansweredRequestIsDenied(t *testing.T) {
	server := askingServer(t, 100)
	var ended atomic.Int32
	ok(t, server.Authorize(func(ctx context.Context, _ smartvpn.Request) smartvpn.Decision {
		<-ctx.Done()
		ended.Add(1)
		return smartvpn.Allow() // too late
	}))
	ok(t, server.Start())
	if event := rejected(t, server, "alice"); event.Reason != "authorize_timeout" {
		t.Fatalf("%s", event)
	}
	eventually(t, "the decision's end", func() bool { return ended.Load() == 1 })
}

func TestDecisionsRunSideBySideAndAreBounded(t *testing.T) {
	server := askingServer(t, 20000)
	var running, most atomic.Int32
	release := make(chan struct{})
	ok(t, server.AuthorizeWith(smartvpn.Authorizer{Concurrency: 2, Decide: func(ctx context.Context, _ smartvpn.Request) smartvpn.Decision {
		if now := running.Add(1); now > most.Load() {
			most.Store(now)
		}
		defer running.Add(-1)
		select {
		case <-release:
		case <-ctx.Done():
		}
		return smartvpn.Allow()
	}}))
	ok(t, server.Start())
	failed := make(chan error)
	for i := 0; i < 5; i++ {
		config := tunnelConfig(t, server, fmt.Sprintf("client-%d", i))
		go func() {
			tunnel, err := smartvpn.Dial(patient(t), config)
			if err == nil {
				err = tunnel.Close()
			}
			failed <- err
		}()
	}
	eventually(t, "two at a time", func() bool { return running.Load() == 2 })
	close(release)
	for i := 0; i < 5; i++ {
		ok(t, <-failed)
	}
	if most.Load() != 2 {
		t.Fatalf("%d at a time", most.Load())
	}
}

func TestStopEndsDecisionsAndWhoWaitsForThem(t *testing.T) {
	for _, stop := range []func(*smartvpn.Server) error{
		func(s *smartvpn.Server) error { return s.Stop(context.Background(), 0) },
		func(s *smartvpn.Server) error { return s.Close() },
	} {
		server := askingServer(t, 60000)
		begun, ended := make(chan struct{}), make(chan struct{})
		ok(t, server.AuthorizeWith(smartvpn.Authorizer{Concurrency: 1, Decide: func(ctx context.Context, _ smartvpn.Request) smartvpn.Decision {
			close(begun)
			<-ctx.Done()
			close(ended)
			return smartvpn.Allow()
		}}))
		ok(t, server.Start())
		tunnel, err := smartvpn.NewTunnel(tunnelConfig(t, server, "alice"))
		ok(t, err)
		ok(t, tunnel.Start())
		<-begun
		ok(t, stop(server))
		<-ended
		ok(t, tunnel.Close())
	}
}

func TestWhereNobodyIsAskedItIsABadState(t *testing.T) {
	allow := func(context.Context, smartvpn.Request) smartvpn.Decision { return smartvpn.Allow() }
	fails(t, newServer(t, serverConfig(t, "testing")).Authorize(allow), smartvpn.ErrBadState)
	server := askingServer(t, 5000)
	fails(t, server.Authorize(nil), smartvpn.ErrInvalid)
	fails(t, server.AuthorizeWith(smartvpn.Authorizer{Decide: allow, Concurrency: -1}), smartvpn.ErrInvalid)
	ok(t, server.Close())
	fails(t, server.Authorize(allow), smartvpn.ErrClosed)
}
