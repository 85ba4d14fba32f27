// What the tests share: configurations, a running server, a connected tunnel, packets, bounded waits.

package smartvpn_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
	"time"

	smartvpn "github.com/smartvpn/smartvpn/bindings/go"
)

const patience = 20 * time.Second // a time that no working call takes

func patient(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func fails(t testing.TB, err error, wanted error) {
	t.Helper()
	if !errors.Is(err, wanted) {
		t.Fatalf("got %v, wanted %v", err, wanted)
	}
}

func serverConfig(t testing.TB, mode string) smartvpn.Config {
	t.Helper()
	key, err := smartvpn.GenerateKey()
	ok(t, err)
	return smartvpn.Config{
		Listen:     []smartvpn.Listener{{Transport: smartvpn.WebSocket, Address: "127.0.0.1:0"}},
		Keys:       smartvpn.Keys{NoisePrivateKey: key},
		Network:    smartvpn.Network{Subnets: []string{"10.8.0.0/24", "fd00:8::/64"}},
		Forwarding: smartvpn.Forwarding{Mode: mode},
	}
}

func newServer(t testing.TB, config smartvpn.Config) *smartvpn.Server {
	t.Helper()
	server, err := smartvpn.NewServer(config)
	ok(t, err)
	t.Cleanup(func() { server.Close() })
	return server
}

func runningServer(t testing.TB, mode string) *smartvpn.Server {
	t.Helper()
	server := newServer(t, serverConfig(t, mode))
	ok(t, server.Start())
	return server
}

// tunnelConfig makes a client and gives the configuration of its tunnel in mode "host".
func tunnelConfig(t testing.TB, server *smartvpn.Server, id string) smartvpn.TunnelConfig {
	t.Helper()
	credentials, err := server.Clients().Create(smartvpn.ClientSpec{ID: id})
	ok(t, err)
	config, err := credentials.TunnelConfig()
	ok(t, err)
	config.Forwarding.Mode = "host"
	return config
}

func dial(t testing.TB, config smartvpn.TunnelConfig) *smartvpn.Tunnel {
	t.Helper()
	tunnel, err := smartvpn.Dial(patient(t), config)
	ok(t, err)
	t.Cleanup(func() { tunnel.Close() })
	return tunnel
}

func subscribe(t testing.TB, server *smartvpn.Server, types ...smartvpn.EventType) *smartvpn.Subscription {
	t.Helper()
	subscription, err := server.Subscribe(patient(t), types...)
	ok(t, err)
	t.Cleanup(func() { subscription.Close() })
	return subscription
}

// nextOf gives the next event of a type; others are skipped.
func nextOf(t testing.TB, events <-chan smartvpn.Event, kind smartvpn.EventType) smartvpn.Event {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case event, open := <-events:
			if !open {
				t.Fatal("the events have ended")
			}
			if event.Type == kind {
				return event
			}
		case <-timeout:
			t.Fatalf("no event of type %d came", kind)
		}
	}
}

// eventually waits until something holds that nothing announces.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not in time: " + what)
		}
	}
}

// address gives the tunnel's own inner address of a family.
func address(t testing.TB, tunnel *smartvpn.Tunnel, four bool) netip.Addr {
	t.Helper()
	info, err := tunnel.Info()
	ok(t, err)
	for _, text := range info.Addresses {
		if ip := netip.MustParseAddr(text); ip.Is4() == four {
			return ip
		}
	}
	t.Fatalf("no such address among %v", info.Addresses)
	return netip.Addr{}
}

// udp makes a UDP packet of either family; the checksum of UDP itself is left out.
func udp(from, to netip.Addr, payload []byte) []byte {
	length := 8 + len(payload)
	var packet []byte
	if from.Is4() {
		packet = make([]byte, 20, 20+length)
		packet[0], packet[8], packet[9] = 0x45, 64, 17
		binary.BigEndian.PutUint16(packet[2:], uint16(20+length))
		copy(packet[12:], from.AsSlice())
		copy(packet[16:], to.AsSlice())
		sum := uint32(0)
		for i := 0; i < 20; i += 2 {
			sum += uint32(binary.BigEndian.Uint16(packet[i:]))
		}
		for sum>>16 != 0 {
			sum = sum&0xffff + sum>>16
		}
		binary.BigEndian.PutUint16(packet[10:], ^uint16(sum))
	} else {
		packet = make([]byte, 40, 40+length)
		packet[0], packet[6], packet[7] = 0x60, 17, 64
		binary.BigEndian.PutUint16(packet[4:], uint16(length))
		copy(packet[8:], from.AsSlice())
		copy(packet[24:], to.AsSlice())
	}
	header := []byte{0x30, 0, 0x30, 0, byte(length >> 8), byte(length), 0, 0}
	return append(append(packet, header...), payload...)
}

func payload(packet []byte) []byte {
	if packet[0]>>4 == 4 {
		return packet[28:]
	}
	return packet[48:]
}
