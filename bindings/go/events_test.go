// Subscriptions side by side, their ends, and what their events say.

package smartvpn_test

import (
	"bytes"
	"context"
	"testing"

	smartvpn "github.com/smartvpn/smartvpn/bindings/go"
)

func TestEverySubscriptionGetsEveryEvent(t *testing.T) {
	server := newServer(t, serverConfig(t, "testing"))
	both := []*smartvpn.Subscription{subscribe(t, server), subscribe(t, server)}
	ok(t, server.Start())
	for _, subscription := range both {
		event := nextOf(t, subscription.C, smartvpn.Listening)
		if event.Name != "listening" || event.Address != endpoint(t, server) || event.Time.IsZero() ||
			event.Transport != smartvpn.WebSocket || !bytes.Contains(event.Raw, []byte(`"listening"`)) {
			t.Fatalf("%+v", event)
		}
	}
}

func TestAFilterLeavesOutWhatIsNotAskedFor(t *testing.T) {
	server := newServer(t, serverConfig(t, "testing"))
	events, err := server.Events(patient(t), smartvpn.ClientChanged)
	ok(t, err)
	ok(t, server.Start())
	_, err = server.Clients().Create(smartvpn.ClientSpec{ID: "alice"})
	ok(t, err)
	event := <-events
	if event.Type != smartvpn.ClientChanged || event.ClientID != "alice" || event.Change != "created" || event.Revision != 1 {
		t.Fatalf("%s", event)
	}
	_, err = server.Subscribe(patient(t), smartvpn.EventType(64))
	fails(t, err, smartvpn.ErrInvalid)
	_, err = server.Subscribe(patient(t), smartvpn.EventType(-1))
	fails(t, err, smartvpn.ErrInvalid)
}

func TestAfterStopComesTheRestAndThenTheEnd(t *testing.T) {
	server := newServer(t, serverConfig(t, "testing"))
	subscription := subscribe(t, server)
	ok(t, server.Start())
	ok(t, server.Close())
	listening := 0
	for event := range subscription.C {
		if event.Type == smartvpn.Listening {
			listening++
		}
	}
	ok(t, subscription.Err())
	if listening != 1 {
		t.Fatalf("listening came %d times", listening)
	}
	_, err := server.Subscribe(patient(t))
	fails(t, err, smartvpn.ErrClosed)
}

func TestAContextEndsASubscriptionThatWaits(t *testing.T) {
	server := runningServer(t, "testing")
	ctx, cancel := context.WithCancel(context.Background())
	subscription, err := server.Subscribe(ctx, smartvpn.SessionUp)
	ok(t, err)
	cancel()
	if event, open := <-subscription.C; open {
		t.Fatalf("%s", event)
	}
	fails(t, subscription.Err(), context.Canceled)
	ok(t, subscription.Close())
	_, err = server.Subscribe(ctx)
	fails(t, err, context.Canceled)
}

func TestAContextEndsASubscriptionThatNobodyReads(t *testing.T) {
	server := runningServer(t, "testing")
	ctx, cancel := context.WithCancel(context.Background())
	subscription, err := server.Subscribe(ctx, smartvpn.ClientChanged)
	ok(t, err)
	_, err = server.Clients().Create(smartvpn.ClientSpec{ID: "alice"})
	ok(t, err)
	for i := 0; i < 300; i++ { // more than its channel holds
		ok(t, server.Clients().Update("alice", smartvpn.Patch{"priority": i}, 0))
	}
	eventually(t, "a full channel", func() bool { return len(subscription.C) == cap(subscription.C) })
	cancel()
	fails(t, subscription.Err(), context.Canceled)
}

func TestCloseEndsASubscription(t *testing.T) {
	server := runningServer(t, "testing")
	for _, waits := range []bool{true, false} {
		subscription, err := server.Subscribe(context.Background())
		ok(t, err)
		if waits {
			nextOfAny(subscription)
		}
		ok(t, subscription.Close())
		ok(t, subscription.Close())
		ok(t, subscription.Err())
		for range subscription.C {
		}
	}
}

// nextOfAny takes what is there and does not wait.
func nextOfAny(subscription *smartvpn.Subscription) {
	select {
	case <-subscription.C:
	default:
	}
}

func TestASlowReaderIsToldWhatItMissed(t *testing.T) {
	server := runningServer(t, "testing")
	subscription, err := server.SubscribeWith(patient(t), smartvpn.SubscribeOptions{Types: []smartvpn.EventType{smartvpn.ClientChanged}, Capacity: 16})
	ok(t, err)
	_, err = server.Clients().Create(smartvpn.ClientSpec{ID: "alice"})
	ok(t, err)
	const changes = 400 // channel, batch and queue together hold fewer
	for i := 0; i < changes; i++ {
		ok(t, server.Clients().Update("alice", smartvpn.Patch{"priority": i}, 0))
	}
	ok(t, server.Stop(patient(t), 0))
	seen, lost := uint64(0), uint64(0)
	for event := range subscription.C {
		if event.Type == smartvpn.Lost {
			lost += event.Count
		} else {
			seen++
		}
	}
	if lost == 0 || seen+lost != changes+1 {
		t.Fatalf("%d seen, %d lost", seen, lost)
	}
	_, err = server.SubscribeWith(patient(t), smartvpn.SubscribeOptions{Capacity: -1})
	fails(t, err, smartvpn.ErrInvalid)
}

func TestATunnelHasEventsToo(t *testing.T) {
	server := runningServer(t, "host")
	tunnel, err := smartvpn.NewTunnel(tunnelConfig(t, server, "alice"))
	ok(t, err)
	defer tunnel.Close()
	events, err := tunnel.Events(patient(t))
	ok(t, err)
	ok(t, tunnel.Start())
	ok(t, tunnel.WaitConnected(patient(t)))
	nextOf(t, events, smartvpn.SessionUp)
	ok(t, tunnel.Stop(patient(t)))
	nextOf(t, events, smartvpn.SessionDown)
	for range events {
	}
}
