// A relay between plain sockets: who the client is, where its connection goes, what is told and counted.

package smartvpn_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	smartvpn "github.com/smartvpn/smartvpn/bindings/go"
)

func TestARelayMovesBytesAndTellsAndCountsThem(t *testing.T) {
	server := newTarget(t, "", false)
	relay := newRelay(t, relayConfig(server.port))
	events := relayEvents(t, relay)
	ok(t, relay.Start())
	at := relayAt(t, relay, 0)
	if listening := nextOf(t, events, smartvpn.Listening); listening.Address != at {
		t.Fatalf("%s", listening)
	}
	peer := connect(t, at)
	sent := strings.Repeat("0123456789abcdef", 4096)
	for i := 0; i < 16; i++ {
		asks(t, peer, sent)
	}
	total := uint64(16 * len(sent))
	here, there := peer.LocalAddr().String(), fmt.Sprintf("127.0.0.1:%d", server.port)
	one := connections(t, relay, 1)[0]
	if one.RemoteAddr != here || one.PeerAddr != here || one.Target != there || one.Stage != "relaying" ||
		one.Route != "route-0" || one.Vouched || one.Since.IsZero() {
		t.Fatalf("%+v", one)
	}
	if accepted := nextOf(t, events, smartvpn.ConnectionAccepted); accepted.ConnectionID != one.ID || accepted.RemoteAddr != here {
		t.Fatalf("%s", accepted)
	}
	ok(t, peer.Close())
	closed := nextOf(t, events, smartvpn.ConnectionClosed)
	if closed.ConnectionID != one.ID || closed.Reason != "closed_by_client" || closed.BytesIn != total || closed.BytesOut != total ||
		closed.Route != "route-0" || closed.Target != there {
		t.Fatalf("%s", closed)
	}
	connections(t, relay, 0)

	stats, err := relay.Stats()
	ok(t, err)
	ok(t, relay.Close())
	defer stats.Close() // it outlives its relay
	for name, wanted := range map[string]uint64{"connections_total": 1, "connections_open": 0, "connections_relayed": 1,
		"bytes_in": total, "bytes_out": total, "ended.closed_by_client": 1, "rejections": 0} {
		if got, err := stats.U64(name); err != nil || got != wanted {
			t.Errorf("%s: %d, %v", name, got, err)
		}
	}
	_, err = stats.U64("sessions_now")
	fails(t, err, smartvpn.ErrNotFound)
	figures, err := stats.RelayFigures()
	ok(t, err)
	if figures.BytesIn != total || figures.Ended["closed_by_client"] != 1 || len(figures.Rates) != 3 || figures.Started.IsZero() ||
		len(figures.Routes) != 1 || figures.Routes[0].Route != "route-0" || figures.Routes[0].BytesOut != total ||
		len(figures.Addresses) != 1 || figures.Addresses[0].Address != "127.0.0.1" || figures.Addresses[0].BytesIn != total {
		t.Fatalf("%+v", figures)
	}
	metrics, err := stats.Metrics()
	ok(t, err)
	for _, metric := range metrics {
		if metric.Name == "smartvpn_relay_route_bytes_in_total" && metric.Value == float64(total) && metric.Labels[0].Value == "route-0" {
			return
		}
	}
	t.Fatalf("%v", metrics)
}

func TestARelayServesItsFigures(t *testing.T) {
	relay := runningRelay(t, relayConfig(9))
	get := func() *httptest.ResponseRecorder {
		answer := httptest.NewRecorder()
		relay.MetricsHandler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return answer
	}
	if answer := get(); answer.Code != 200 || !strings.Contains(answer.Body.String(), "\nsmartvpn_relay_connections_total 0\n") {
		t.Fatalf("%d\n%s", answer.Code, answer.Body)
	}
	ok(t, relay.Close())
	if answer := get(); answer.Code != http.StatusServiceUnavailable {
		t.Fatal(answer.Code)
	}
}

func TestTheTargetLearnsTheClientsAddress(t *testing.T) {
	server := newTarget(t, "", true)
	config := relayConfig(server.port)
	config.Routes[0].Action.SendProxyProtocol = "v2"
	relay := runningRelay(t, config)
	peer := connect(t, relayAt(t, relay, 0))
	asks(t, peer, "hello")
	said := server.header(t)
	if said.source.String() != peer.LocalAddr().String() || said.destination.String() != relayAt(t, relay, 0) || said.tlvs[tlvUniqueID] == "" {
		t.Fatalf("%+v", said)
	}
}

func TestAChainKeepsTheFirstAddress(t *testing.T) {
	server := newTarget(t, "", true)
	link := func(port int) *smartvpn.Relay {
		config := relayConfig(port)
		config.Listen[0].AcceptProxyProtocol = "v2"
		config.Listen[0].TrustedProxies = []string{"127.0.0.1"}
		config.Routes[0].Action.SendProxyProtocol = "v2"
		return runningRelay(t, config)
	}
	last := link(server.port)
	var host string
	var port int
	_, err := fmt.Sscanf(strings.Replace(relayAt(t, last, 0), ":", " ", 1), "%s %d", &host, &port)
	ok(t, err)
	first := link(port)
	peer := connect(t, relayAt(t, first, 0))
	_, err = peer.Write(writeHeader(realAddress, dialledAddress))
	ok(t, err)
	asks(t, peer, "hello")
	if said := server.header(t); said.source.String() != realAddress || said.destination.String() != dialledAddress {
		t.Fatalf("%+v", said)
	}
	one, two := connections(t, first, 1)[0], connections(t, last, 1)[0]
	if one.RemoteAddr != realAddress || two.RemoteAddr != realAddress || !one.Vouched || !two.Vouched ||
		one.PeerAddr != peer.LocalAddr().String() || two.PeerAddr == one.PeerAddr || two.TLVs["unique_id"] == "" {
		t.Fatalf("%+v\n%+v", one, two)
	}
}

func TestNamesLeadToTargets(t *testing.T) {
	a, b := newTarget(t, "A", false), newTarget(t, "B", false)
	named := routeTo(a.port, "named")
	named.Match = &smartvpn.RelayMatch{Domains: []string{"*.a.example"}}
	config := relayConfig(0)
	config.Routes = []smartvpn.RelayRoute{named, routeTo(b.port, "rest")}
	relay := runningRelay(t, config)
	for host, answer := range map[string]string{"x.a.example": "A", "b.example": "B"} {
		peer := connect(t, relayAt(t, relay, 0))
		request := "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n"
		_, err := peer.Write([]byte(request))
		ok(t, err)
		says(t, peer, answer+request) // not touched
		if one := connections(t, relay, 1)[0]; one.Host != host {
			t.Fatalf("%+v", one)
		}
		ok(t, peer.Close())
		eventually(t, "the connection's end", func() bool {
			open, err := relay.Connections()
			return err == nil && len(open) == 0
		})
	}
}

func TestATargetThatIsNotThereIsToldAndTheNextOneTried(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	nobody := smartvpn.TargetPort(closed.Addr().(*net.TCPAddr).Port)
	ok(t, closed.Close())
	server := newTarget(t, "", false)
	config := relayConfig(server.port)
	targets := &config.Routes[0].Action.Targets
	*targets = append([]smartvpn.RelayTarget{{Host: "127.0.0.1", Port: nobody}}, *targets...)
	relay := runningRelay(t, config)
	events := relayEvents(t, relay, smartvpn.TargetChanged, smartvpn.ConnectionRejected)
	asks(t, connect(t, relayAt(t, relay, 0)), "hello")
	changed := nextOf(t, events, smartvpn.TargetChanged)
	if changed.Route != "route-0" || changed.Target != fmt.Sprintf("127.0.0.1:%d", nobody) || changed.Health != "down" || changed.Detail == "" {
		t.Fatalf("%s", changed)
	}
	*targets = (*targets)[:1]
	_, err = relay.Reconfigure(config, false)
	ok(t, err)
	peer, err := net.DialTimeout("tcp", relayAt(t, relay, 0), patience)
	if err == nil { // it may be turned away before it knows that it is connected
		defer peer.Close()
		ok(t, peer.SetDeadline(time.Now().Add(patience)))
		wantsEnd(t, peer)
	} else {
		fails(t, err, syscall.ECONNRESET)
	}
	if rejected := nextOf(t, events, smartvpn.ConnectionRejected); rejected.Reason != "target_unreachable" {
		t.Fatalf("%s", rejected)
	}
}

func TestDisconnectEndsOneConnectionAndNoOther(t *testing.T) {
	relay := runningRelay(t, relayConfig(newTarget(t, "", false).port))
	events := relayEvents(t, relay, smartvpn.ConnectionClosed)
	one, other := connect(t, relayAt(t, relay, 0)), connect(t, relayAt(t, relay, 0))
	asks(t, one, "1")
	asks(t, other, "2")
	for _, connection := range connections(t, relay, 2) {
		if connection.PeerAddr != one.LocalAddr().String() {
			continue
		}
		ok(t, relay.Disconnect(connection.ID))
		if _, err := one.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("%v", err)
		}
		if closed := nextOf(t, events, smartvpn.ConnectionClosed); closed.Reason != "disconnected" || closed.ConnectionID != connection.ID {
			t.Fatalf("%s", closed)
		}
		fails(t, relay.Disconnect(connection.ID), smartvpn.ErrNotFound)
	}
	asks(t, other, "3")
	connections(t, relay, 1)
}

func TestARouteLeadsIntoTheServerOfThisProcess(t *testing.T) {
	server := runningServer(t, "host")
	config := smartvpn.RelayConfig{Listen: []smartvpn.RelayListener{listenAt(0)},
		Routes: []smartvpn.RelayRoute{{Action: smartvpn.RelayAction{Type: "vpn"}}}}
	config.Listen[0].AcceptProxyProtocol, config.Listen[0].TrustedProxies = "v2", []string{"127.0.0.1"}
	relay := runningRelay(t, config)
	events := relayEvents(t, relay, smartvpn.ConnectionRejected, smartvpn.ConnectionClosed)
	client := tunnelConfig(t, server, "alice")
	client.Server = "ws://" + relayAt(t, relay, 0) + "/tunnel"
	client.ProxyProtocol = &smartvpn.SendProxy{Send: "v2", Source: realAddress, Destination: dialledAddress}
	client.Reconnect = &smartvpn.Reconnect{InitialMS: 10, MaxMS: 10}
	tunnel, err := smartvpn.NewTunnel(client)
	ok(t, err)
	defer tunnel.Close()
	ok(t, tunnel.Start())
	if rejected := nextOf(t, events, smartvpn.ConnectionRejected); rejected.Reason != "target_unreachable" { // no server yet
		t.Fatalf("%s", rejected)
	}
	fails(t, relay.SetServer(&smartvpn.Server{}), smartvpn.ErrClosed)
	ok(t, relay.SetServer(server))
	ok(t, tunnel.WaitConnected(patient(t)))
	sessions, err := server.Sessions().List()
	ok(t, err)
	if len(sessions) != 1 || sessions[0].RemoteAddr != realAddress {
		t.Fatalf("%+v", sessions)
	}
	if closed := nextOf(t, events, smartvpn.ConnectionClosed); closed.Reason != "handed_to_vpn" {
		t.Fatalf("%s", closed)
	}
	ok(t, relay.SetServer(nil))
	ok(t, relay.ReloadCertificates()) // of which it has none
	ok(t, relay.Close())
	if tunnel.State() != smartvpn.TunnelConnected {
		t.Fatal(tunnel.State()) // it needs no relay any more
	}
	ok(t, server.Close())
	fails(t, runningRelay(t, config).SetServer(server), smartvpn.ErrClosed)
}
