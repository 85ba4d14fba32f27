// A relay's life: created, running, reconfigured, draining, stopped; and its configuration.

package smartvpn_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	smartvpn "github.com/smartvpn/smartvpn/bindings/go"
)

func wantsRelay(t testing.TB, relay *smartvpn.Relay, state smartvpn.RelayState) {
	t.Helper()
	if got := relay.State(); got != state {
		t.Fatalf("%v, wanted %v", got, state)
	}
}

func TestARelayGoesThroughItsStatesOnce(t *testing.T) {
	relay := newRelay(t, relayConfig(newTarget(t, "", false).port))
	wantsRelay(t, relay, smartvpn.RelayCreated)
	endpoints, err := relay.Endpoints()
	ok(t, err)
	if len(endpoints) != 0 {
		t.Fatalf("%v before start", endpoints)
	}
	for _, err := range []error{second(relay.Connections()), second(relay.Stats()), relay.Disconnect(1), relay.ReloadCertificates(), second(relay.Reconfigure(relayConfig(9), false))} {
		fails(t, err, smartvpn.ErrBadState)
	}
	ok(t, relay.Start())
	wantsRelay(t, relay, smartvpn.RelayRunning)
	asks(t, connect(t, relayAt(t, relay, 0)), "hello")
	fails(t, relay.Start(), smartvpn.ErrBadState)
	ok(t, relay.Stop(patient(t), 0))
	wantsRelay(t, relay, smartvpn.RelayStopped)
	ok(t, relay.Stop(patient(t), time.Minute))
	fails(t, relay.Start(), smartvpn.ErrBadState)
	ok(t, relay.Close())
	ok(t, relay.Close())
	wantsRelay(t, relay, smartvpn.RelayClosed)
	callAll(t, relay, smartvpn.ErrClosed, "Close")
}

func TestCloseEndsOpenConnectionsAndTheEventsTellWhy(t *testing.T) {
	relay := runningRelay(t, relayConfig(newTarget(t, "", false).port))
	subscription, err := relay.Subscribe(patient(t), smartvpn.ConnectionClosed)
	ok(t, err)
	one, two := connect(t, relayAt(t, relay, 0)), connect(t, relayAt(t, relay, 0))
	asks(t, one, "1")
	asks(t, two, "2")
	ok(t, relay.Close())
	wantsEnd(t, one)
	wantsEnd(t, two)
	count := 0
	for event := range subscription.C {
		if count++; event.Reason != "relay_stopping" {
			t.Errorf("%s", event)
		}
	}
	ok(t, subscription.Err())
	if count != 2 {
		t.Fatal(count)
	}
}

func TestStopLetsConnectionsGoOnForTheDrain(t *testing.T) {
	relay := runningRelay(t, relayConfig(newTarget(t, "", false).port))
	peer := connect(t, relayAt(t, relay, 0))
	asks(t, peer, "1")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	err := relay.Stop(ctx, time.Minute)
	fails(t, err, context.DeadlineExceeded)
	fails(t, err, smartvpn.ErrTimeout)
	wantsRelay(t, relay, smartvpn.RelayDraining)
	asks(t, peer, "2")
	ok(t, peer.Close())
	ok(t, relay.Stop(patient(t), time.Minute)) // ends with the last connection
	wantsRelay(t, relay, smartvpn.RelayStopped)
	fails(t, relay.Stop(patient(t), -1), smartvpn.ErrInvalid)
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	fails(t, relay.Stop(canceled, 0), context.Canceled)
}

func TestARouteAndAPortComeWhileItRuns(t *testing.T) {
	older, newer := newTarget(t, "1", false), newTarget(t, "2", false)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	port := free.Addr().(*net.TCPAddr).Port
	ok(t, free.Close())
	config := relayConfig(older.port)
	relay := runningRelay(t, config)
	events := relayEvents(t, relay, smartvpn.Reconfigured)
	peer := connect(t, relayAt(t, relay, 0))
	says(t, peer, "1")

	added := routeTo(newer.port, "new")
	added.Match = &smartvpn.RelayMatch{Ports: smartvpn.Ports{{From: port}}}
	config.Listen = append(config.Listen, listenAt(port))
	config.Routes = append(config.Routes, added)
	would, err := relay.Reconfigure(config, true)
	ok(t, err)
	if endpoints, err := relay.Endpoints(); err != nil || len(endpoints) != 1 {
		t.Fatalf("%v, %v after a dry run", endpoints, err)
	}
	changes, err := relay.Reconfigure(config, false)
	ok(t, err)
	if len(changes) == 0 || !reflect.DeepEqual(changes, would) {
		t.Fatalf("%v, %v", changes, would)
	}
	told := nextOf(t, events, smartvpn.Reconfigured).Changes
	for _, change := range changes {
		if change.Result != "applied" || told[change.Path] != "applied" {
			t.Fatalf("%v, %v", changes, told)
		}
	}
	other := connect(t, fmt.Sprintf("127.0.0.1:%d", port))
	says(t, other, "2")
	if both := connections(t, relay, 2); both[0].Route != "route-0" || both[1].Route != "new" {
		t.Fatalf("%+v", both)
	}
	asks(t, peer, "it goes on")

	config.Routes = nil
	_, err = relay.Reconfigure(config, false)
	var problem *smartvpn.Error
	if !errors.As(err, &problem) || problem.Path != "/routes" || problem.Op != "reconfigure" {
		t.Fatalf("%v", err)
	}
	asks(t, other, "nothing has changed")
}

func TestAListenerThatCannotBeOpenedChangesNothing(t *testing.T) {
	taken := relayAt(t, runningRelay(t, relayConfig(9)), 0)
	_, text, _ := strings.Cut(taken, ":")
	var port int
	_, err := fmt.Sscan(text, &port)
	ok(t, err)
	config := relayConfig(newTarget(t, "", false).port)
	relay := runningRelay(t, config)
	config.Listen = append(config.Listen, listenAt(port))
	_, err = relay.Reconfigure(config, false)
	fails(t, err, smartvpn.ErrSystem)
	fails(t, err, syscall.EADDRINUSE)
	var problem *smartvpn.Error
	if !errors.As(err, &problem) || !strings.HasPrefix(problem.Path, "/listen/1") {
		t.Fatalf("%v", err)
	}
	asks(t, connect(t, relayAt(t, relay, 0)), "hello")

	config.Listen = config.Listen[1:]
	late := newRelay(t, config)
	fails(t, late.Start(), syscall.EADDRINUSE)
	wantsRelay(t, late, smartvpn.RelayStopped)
}

func TestAWrongRelayConfigurationIsRefusedWithItsPath(t *testing.T) {
	for path, change := range map[string]func(*smartvpn.RelayConfig){
		"/listen":                         func(c *smartvpn.RelayConfig) { c.Listen = nil },
		"/listen/0/port":                  func(c *smartvpn.RelayConfig) { c.Listen[0].Port = nil },
		"/listen/0/trusted_proxies":       func(c *smartvpn.RelayConfig) { c.Listen[0].AcceptProxyProtocol = "v1" },
		"/routes/0/action/targets":        func(c *smartvpn.RelayConfig) { c.Routes[0].Action.Targets = nil },
		"/routes/0/action/targets/0/port": func(c *smartvpn.RelayConfig) { c.Routes[0].Action.Targets[0].Port = 0 },
		"/routes/1/name":                  func(c *smartvpn.RelayConfig) { c.Routes = append(c.Routes, routeTo(9, "route-0")) },
		"/routes/0/action/proxy_tlvs":     func(c *smartvpn.RelayConfig) { c.Routes[0].Action.ProxyTLVs = &smartvpn.RelayTLVs{CRC32C: true} },
		"/routes/0/match/ports": func(c *smartvpn.RelayConfig) {
			c.Routes[0].Match = &smartvpn.RelayMatch{Ports: smartvpn.Ports{{From: 9, To: 8}}}
		},
		"/limits/threads": func(c *smartvpn.RelayConfig) { c.Limits.Threads = -1 },
		"/rutes":          func(c *smartvpn.RelayConfig) { c.Set = map[string]interface{}{"/rutes": 1} },
	} {
		config := relayConfig(9)
		change(&config)
		for _, err := range []error{config.Validate(), second(smartvpn.NewRelay(config))} {
			var problem *smartvpn.Error
			if !errors.As(err, &problem) || problem.Path != path || !errors.Is(err, smartvpn.ErrInvalid) || problem.Text == "" {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
	config := relayConfig(9)
	config.Listen[0].Protocol = "udp"
	ok(t, config.Validate())
	config.Routes[0].Action.SendProxyProtocol = "v1"
	fails(t, config.Validate(), smartvpn.ErrInvalid)
	_, err := smartvpn.NewRelay(smartvpn.RelayConfig{Raw: []byte(`{}`), Limits: smartvpn.RelayLimits{Threads: 1}})
	fails(t, err, smartvpn.ErrInvalid)
}

const largeRelay = `{
  "listen": [{"address": "127.0.0.1", "ports": [443, {"from": 8000, "to": 8010}], "protocol": "tcp", "accept_proxy_protocol": "any",
    "trusted_proxies": ["10.0.0.0/8"], "untrusted": "direct", "addressless": "refuse", "max_header_bytes": 1000}, {"port": 0}],
  "routes": [{"name": "web", "enabled": false, "priority": -3, "max_connections": 9,
    "match": {"ports": 443, "domains": ["*.example.com"], "client_ip": ["198.51.100.0/24"], "tls_versions": ["TLSv1.3"], "protocol": "tcp"},
    "action": {"type": "forward", "balance": "least_connections", "half_open": true, "tls": {"mode": "terminate-and-reencrypt",
      "certificates": [{"certificate": "c.pem", "key": "k.pem"}], "alpn": ["h2"], "target": {"ca": "a.pem", "server_name": "web", "verify": true}},
      "targets": [{"host": "web.internal", "port": 8443}, {"host": "192.0.2.7", "port": "preserve"}], "send_proxy_protocol": "v2",
      "proxy_tlvs": {"authority": false, "alpn": false, "ssl": false, "unique_id": false, "crc32c": true, "unknown": true}}}],
  "timeouts": {"proxy_header_ms": 100, "first_bytes_ms": 200, "connect_ms": 300, "idle_ms": 0, "lifetime_ms": 400, "half_open_ms": 500, "udp_idle_ms": 1000},
  "limits": {"threads": 2, "connections": 10, "connections_per_ip": 0, "new_connections_per_ip_per_minute": 0, "addresses": 16,
    "event_queue": 32},
  "security": {"ip_block_list": ["203.0.113.0/24"], "ip_allow_list": ["198.51.100.1"]}}`

func TestAParsedRelayConfigurationMeansTheSame(t *testing.T) {
	parsed, err := smartvpn.ParseRelayConfig([]byte(largeRelay))
	ok(t, err)
	if wanted := (smartvpn.Ports{{From: 443}, {From: 8000, To: 8010}}); !reflect.DeepEqual(parsed.Listen[0].Ports, wanted) {
		t.Fatalf("%v", parsed.Listen[0].Ports)
	}
	if parsed.Routes[0].Action.Targets[1].Port != smartvpn.PreservePort {
		t.Fatalf("%v", parsed.Routes[0].Action.Targets)
	}
	ok(t, parsed.Validate())
	got, err := parsed.JSON(true)
	ok(t, err)
	// A single port is written as a list, which means the same.
	wanted, err := smartvpn.RelayConfig{Raw: []byte(strings.Replace(largeRelay, `"ports": 443`, `"ports": [443]`, 1))}.JSON(true)
	ok(t, err)
	if !sameJSON(t, got, wanted) {
		t.Fatalf("%s\n%s", got, wanted)
	}
	_, err = smartvpn.NewRelay(parsed)
	var problem *smartvpn.Error
	if !errors.As(err, &problem) || !strings.HasPrefix(problem.Path, "/routes/0/action/tls/") { // there are no such files
		t.Fatalf("%v", err)
	}
	_, err = smartvpn.ParseRelayConfig([]byte(`{"rutes": []}`))
	fails(t, err, smartvpn.ErrInvalid)
	if !strings.Contains(err.Error(), "routes") {
		t.Fatalf("no hint in %v", err)
	}
}

func TestRelaysLeaveNothing(t *testing.T) {
	server := newTarget(t, "", false)
	config := relayConfig(server.port)
	leavesNothing(t, 200, func() {
		relay, err := smartvpn.NewRelay(config)
		ok(t, err)
		events, err := relay.Events(context.Background())
		ok(t, err)
		ok(t, relay.Start())
		peer, err := net.DialTimeout("tcp", relayAt(t, relay, 0), patience)
		ok(t, err)
		ok(t, peer.SetDeadline(time.Now().Add(patience)))
		asks(t, peer, "hello")
		ok(t, relay.Close())
		ok(t, peer.Close())
		for range events {
		}
		_, err = smartvpn.NewRelay(config) // which goes with the collector
		ok(t, err)
		runtime.GC()
	})
}

func TestTheCollectorNeverStopsARunningRelay(t *testing.T) {
	server := newTarget(t, "", false)
	where := func() string {
		relay, err := smartvpn.NewRelay(relayConfig(server.port))
		ok(t, err)
		ok(t, relay.Start())
		return relayAt(t, relay, 0)
	}()
	for i := 0; i < 5; i++ {
		runtime.GC()
	}
	asks(t, connect(t, where), "hello")
	smartvpn.CloseAllForTest(t)
}
