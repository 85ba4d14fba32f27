// The code of docs/GO.md. Its blocks are pieces of this file; a test compares, and all of them run.

package smartvpn_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	smartvpn "github.com/smartvpn/smartvpn/bindings/go"
)

func serve(key string) (*smartvpn.Server, error) {
	server, err := smartvpn.NewServer(smartvpn.Config{
		Listen:     []smartvpn.Listener{{Transport: smartvpn.WebSocket, Address: "127.0.0.1:0"}},
		Keys:       smartvpn.Keys{NoisePrivateKey: key},
		Network:    smartvpn.Network{Subnets: []string{"10.8.0.0/24", "fd00:8::/64"}},
		Forwarding: smartvpn.Forwarding{Mode: "host"},
		Security:   smartvpn.Security{Authorize: "required"},
	})
	if err != nil {
		return nil, err
	}
	return server, server.Start()
}

func fromFile(data []byte) (smartvpn.Config, error) {
	config, err := smartvpn.ParseConfig(data)
	var problem *smartvpn.Error
	if errors.As(err, &problem) {
		log.Printf("key %s: %s", problem.Path, problem.Text)
	}
	return config, err
}

func withNewerKeys(data []byte) smartvpn.Config {
	return smartvpn.Config{
		Raw: data, // the whole configuration as JSON
		Set: map[string]interface{}{"/network/mtu": 1380, "/listen/0/path": "/vpn"},
	}
}

func manage(server *smartvpn.Server) error {
	clients := server.Clients()
	credentials, err := clients.Create(smartvpn.ClientSpec{ID: "alice", Tags: []string{"staff"}})
	if errors.Is(err, smartvpn.ErrExists) {
		return clients.Enable("alice")
	} else if err != nil {
		return err
	}
	_ = credentials.Config // JSON for the other end, private key included; this is the only time it is to be had
	return clients.Update("alice", smartvpn.Patch{"description": "Alice's laptop", "expires_at": nil}, 0)
}

func together(server *smartvpn.Server) (smartvpn.TxResult, error) {
	return server.Clients().Transaction(func(tx *smartvpn.Tx) error {
		if err := tx.Create(smartvpn.ClientSpec{ID: "bob"}); err != nil {
			return err // nothing happens
		}
		return tx.Update("alice", smartvpn.Patch{"tags": []string{"admin"}})
	})
}

func watch(ctx context.Context, server *smartvpn.Server) error {
	subscription, err := server.Subscribe(ctx, smartvpn.SessionUp, smartvpn.SessionDown)
	if err != nil {
		return err
	}
	for event := range subscription.C {
		fmt.Println(event.Name, event.ClientID, event.RemoteAddr, event.Duration())
	}
	return subscription.Err() // nil when the server has stopped, else the context's
}

func decide(server *smartvpn.Server) error {
	return server.Authorize(func(ctx context.Context, request smartvpn.Request) smartvpn.Decision {
		if request.ClientID == "mallory" {
			return smartvpn.Deny("unpaid")
		}
		return smartvpn.Decision{Allow: true, SessionFor: 8 * time.Hour}
	})
}

func dialIn(ctx context.Context, credentials *smartvpn.Credentials) (*smartvpn.Tunnel, error) {
	config, err := credentials.TunnelConfig()
	if err != nil {
		return nil, err
	}
	config.Forwarding.Mode = "host" // packets to this program; "tun" needs a privilege
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return smartvpn.Dial(ctx, config)
}

// echo sends everything back to where it came from. Swapping the addresses keeps an IPv4 header's checksum.
func echo(ctx context.Context, server *smartvpn.Server) error {
	packets, err := server.Packets()
	if err != nil {
		return err
	}
	defer packets.Close()
	for {
		batch, err := packets.Read(ctx)
		if err != nil {
			return err
		}
		for _, packet := range batch.Packets {
			if packet[0]>>4 == 4 {
				swap(packet[12:16], packet[16:20])
			} else {
				swap(packet[8:24], packet[24:40])
			}
		}
		if _, err := packets.Write(ctx, batch.Packets); err != nil {
			return err
		}
	}
}

func swap(a, b []byte) {
	for i := range a {
		a[i], b[i] = b[i], a[i]
	}
}

func figures(server *smartvpn.Server) error {
	stats, err := server.Stats()
	if err != nil {
		return err
	}
	defer stats.Close()
	spoofed, err := stats.U64("drops.spoofed_source")
	fmt.Println("packets with a wrong source:", spoofed)
	return err
}

func stop(server *smartvpn.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := server.Stop(ctx, 5*time.Second); err != nil {
		log.Print(err) // it goes on in the background; Close does not wait for the drain
	}
	return server.Close()
}

func handOn(target smartvpn.RelayTarget) (*smartvpn.Relay, error) {
	relay, err := smartvpn.NewRelay(smartvpn.RelayConfig{
		Listen: []smartvpn.RelayListener{{Address: "127.0.0.1", Port: smartvpn.Ptr(0)}},
		Routes: []smartvpn.RelayRoute{{Name: "web", Action: smartvpn.RelayAction{
			Targets: []smartvpn.RelayTarget{target}, SendProxyProtocol: "v2"}}},
	})
	if err != nil {
		return nil, err
	}
	return relay, relay.Start()
}

func cutOff(relay *smartvpn.Relay, address string) error {
	connections, err := relay.Connections()
	for _, connection := range connections {
		if connection.RemoteAddr == address {
			err = relay.Disconnect(connection.ID)
		}
	}
	return err
}

func TestTheGuideDoesWhatItSays(t *testing.T) {
	key, err := smartvpn.GenerateKey()
	ok(t, err)
	server, err := serve(key)
	ok(t, err)
	defer server.Close()
	ok(t, decide(server))
	ok(t, manage(server))
	ok(t, manage(server)) // a second time it exists
	result, err := together(server)
	ok(t, err)
	ctx, cancel := context.WithCancel(patient(t))
	watched, echoed := make(chan error), make(chan error)
	go func() { watched <- watch(context.Background(), server) }()
	go func() { echoed <- echo(ctx, server) }()
	tunnel, err := dialIn(ctx, result.Credentials[0])
	ok(t, err)
	defer tunnel.Close()
	packets := openPackets(t, tunnel)
	far := netip.MustParseAddr("192.0.2.9")
	_, err = packets.Write(ctx, [][]byte{udp(address(t, tunnel, true), far, []byte("hello"))})
	ok(t, err)
	if got, _ := readAll(t, packets, 1); string(payload(got[0])) != "hello" {
		t.Fatalf("%x", got[0])
	}
	ok(t, figures(server))
	cancel()
	fails(t, <-echoed, context.Canceled)
	ok(t, tunnel.Close())
	ok(t, stop(server))
	ok(t, <-watched)

	data, err := serverConfig(t, "testing").JSON(true)
	ok(t, err)
	_, err = fromFile(data)
	ok(t, err)
	_, err = fromFile([]byte(`{"netwerk": 1}`))
	fails(t, err, smartvpn.ErrInvalid)
	ok(t, withNewerKeys(data).Validate())

	backend := newTarget(t, "", true)
	relay, err := handOn(smartvpn.RelayTarget{Host: "127.0.0.1", Port: smartvpn.TargetPort(backend.port)})
	ok(t, err)
	defer relay.Close()
	peer := connect(t, relayAt(t, relay, 0))
	asks(t, peer, "hello")
	if said := backend.header(t); said.source.String() != peer.LocalAddr().String() {
		t.Fatalf("%+v", said)
	}
	ok(t, cutOff(relay, "192.0.2.9:1"))
	asks(t, peer, "hello")
	ok(t, cutOff(relay, peer.LocalAddr().String()))
	wantsEnd(t, peer)
}

func TestTheGuideIsMadeOfThisFile(t *testing.T) {
	text, err := os.ReadFile("../../docs/GO.md")
	ok(t, err)
	file, err := os.ReadFile("guide_test.go")
	ok(t, err)
	blocks := regexp.MustCompile("(?s)(<!-- snippet: [^\n]*-->\n)?```go\n(.*?)```\n").FindAllStringSubmatch(string(text), -1)
	own := 0
	for _, block := range blocks {
		if block[1] != "" {
			continue // a whole file, which another test compares
		}
		if own++; !strings.Contains(string(file), "\n"+block[2]) {
			t.Errorf("no piece of guide_test.go:\n%s", block[2])
		}
	}
	if own < 10 {
		t.Errorf("only %d blocks", own)
	}
}
