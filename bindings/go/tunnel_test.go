// The dialling end: it connects, is refused, is cancelled, and names its real address in a PROXY header.

package smartvpn_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	smartvpn "github.com/smartvpn/smartvpn/bindings/go"
)

func TestAProxyHeaderTellsTheRealAddress(t *testing.T) {
	for version, source := range map[string]string{"v1": "198.51.100.7:5123", "v2": "[2001:db8::7]:5123"} {
		config := serverConfig(t, "testing")
		config.Listen[0].ProxyProtocol = &smartvpn.ProxyProtocol{Mode: version, TrustedProxies: []string{"127.0.0.1"}}
		server := newServer(t, config)
		ok(t, server.Start())
		events := subscribe(t, server, smartvpn.SessionUp)
		client := tunnelConfig(t, server, "alice")
		destination := "192.0.2.1:443"
		if version == "v2" {
			destination = "[2001:db8::1]:443"
		}
		client.ProxyProtocol = &smartvpn.SendProxy{Send: version, Source: source, Destination: destination}
		tunnel := dial(t, client)
		up := nextOf(t, events.C, smartvpn.SessionUp)
		if up.RemoteAddr != source || !strings.HasPrefix(up.PeerAddr, "127.0.0.1:") {
			t.Fatalf("%s", up)
		}
		ok(t, tunnel.Close())
	}
}

func TestATunnelGoesThroughItsStates(t *testing.T) {
	server := runningServer(t, "testing")
	tunnel, err := smartvpn.NewTunnel(tunnelConfig(t, server, "alice"))
	ok(t, err)
	if tunnel.State() != smartvpn.TunnelCreated {
		t.Fatal(tunnel.State())
	}
	fails(t, tunnel.WaitConnected(patient(t)), smartvpn.ErrBadState)
	ok(t, tunnel.Start())
	fails(t, tunnel.Start(), smartvpn.ErrBadState)
	ok(t, tunnel.WaitConnected(patient(t)))
	info, err := tunnel.Info()
	ok(t, err)
	if tunnel.State() != smartvpn.TunnelConnected || info.State != "connected" || len(info.Addresses) != 2 || info.MTU != 1420 ||
		info.Attempts != 1 || info.ServerAddr != endpoint(t, server) || info.OuterBytesIn == 0 || info.Since.IsZero() {
		t.Fatalf("%+v", info)
	}
	ok(t, tunnel.Stop(patient(t)))
	if tunnel.State() != smartvpn.TunnelStopped {
		t.Fatal(tunnel.State())
	}
	fails(t, tunnel.WaitConnected(patient(t)), smartvpn.ErrClosed)
	ok(t, tunnel.Close())
	ok(t, tunnel.Close())
	if tunnel.State() != smartvpn.TunnelClosed {
		t.Fatal(tunnel.State())
	}
}

func TestARefusedDialSaysSo(t *testing.T) {
	server := runningServer(t, "testing")
	config := tunnelConfig(t, server, "alice")
	ok(t, server.Clients().Disable("alice"))
	_, err := smartvpn.Dial(patient(t), config)
	fails(t, err, smartvpn.ErrRefused)
	_, err = smartvpn.Dial(patient(t), smartvpn.TunnelConfig{Server: "pigeon://x"})
	fails(t, err, smartvpn.ErrInvalid)
}

func TestADialEndsWithItsContext(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	ok(t, err)
	defer silent.Close()
	config := tunnelConfig(t, runningServer(t, "testing"), "alice")
	config.Server = "ws://" + silent.Addr().String() + "/tunnel"
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err = smartvpn.Dial(ctx, config)
	fails(t, err, context.DeadlineExceeded)
	fails(t, err, smartvpn.ErrTimeout)

	silent.Close() // now it refuses connections, and the error says what the last attempt failed of
	config.Reconnect = &smartvpn.Reconnect{InitialMS: 10, MaxMS: 10}
	tunnel, err := smartvpn.NewTunnel(config)
	ok(t, err)
	defer tunnel.Close()
	ok(t, tunnel.Start())
	eventually(t, "a second attempt", func() bool {
		info, err := tunnel.Info()
		return err == nil && info.Attempts > 1
	})
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	err = tunnel.WaitConnected(cancelled)
	fails(t, err, context.Canceled)
	var problem *smartvpn.Error
	if !errors.As(err, &problem) || !strings.Contains(problem.Error(), "last reason") {
		t.Fatalf("%v", err)
	}
}

func TestCloseWakesWhoeverWaitsForAConnection(t *testing.T) {
	config := tunnelConfig(t, runningServer(t, "testing"), "alice")
	config.Server = "ws://127.0.0.1:1/tunnel"
	tunnel, err := smartvpn.NewTunnel(config)
	ok(t, err)
	ok(t, tunnel.Start())
	failed := make(chan error)
	go func() { failed <- tunnel.WaitConnected(patient(t)) }()
	ok(t, tunnel.Close())
	fails(t, <-failed, smartvpn.ErrClosed)
}

func TestATunnelComesBack(t *testing.T) {
	server := runningServer(t, "testing")
	events := subscribe(t, server, smartvpn.SessionUp)
	config := tunnelConfig(t, server, "alice")
	config.Reconnect = &smartvpn.Reconnect{InitialMS: 10, MaxMS: 10}
	dial(t, config)
	first := nextOf(t, events.C, smartvpn.SessionUp)
	ok(t, server.Sessions().Disconnect(first.SessionID))
	if second := nextOf(t, events.C, smartvpn.SessionUp); second.SessionID == first.SessionID || second.Addresses[0] != first.Addresses[0] {
		t.Fatalf("%s\n%s", first, second)
	}
}
