// What the tests of relays share: targets, clients, and a PROXY v2 header taken apart and put together by hand.

package smartvpn_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	smartvpn "github.com/smartvpn/smartvpn/bindings/go"
)

// target sends everything back behind its name. With headers it takes a PROXY header from each connection first.
type target struct {
	port    int
	headers chan header
}

func newTarget(t testing.TB, name string, headers bool) *target {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	t.Cleanup(func() { listener.Close() })
	made := &target{listener.Addr().(*net.TCPAddr).Port, make(chan header, 16)}
	go func() {
		for {
			peer, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer peer.Close()
				_ = peer.SetDeadline(time.Now().Add(patience))
				if headers {
					said, err := readHeader(peer)
					if err != nil {
						return
					}
					made.headers <- said
				}
				_, _ = io.WriteString(peer, name)
				_, _ = io.Copy(peer, peer)
			}()
		}
	}()
	return made
}

func (s *target) header(t testing.TB) header {
	t.Helper()
	select {
	case said := <-s.headers:
		return said
	case <-time.After(patience):
		t.Fatal("no header came")
		return header{}
	}
}

// header is what a v2 header of a TCP connection over IPv4 says.
type header struct {
	source, destination netip.AddrPort
	tlvs                map[byte]string
}

const (
	signature      = "\r\n\r\n\x00\r\nQUIT\n"
	tlvUniqueID    = 0x05
	realAddress    = "203.0.113.7:4711"
	dialledAddress = "192.0.2.1:443"
)

func readHeader(from io.Reader) (header, error) {
	start := make([]byte, 16)
	if _, err := io.ReadFull(from, start); err != nil {
		return header{}, err
	}
	if string(start[:14]) != signature+"\x21\x11" { // v2, PROXY; TCP over IPv4
		return header{}, fmt.Errorf("%x", start)
	}
	body := make([]byte, binary.BigEndian.Uint16(start[14:]))
	if _, err := io.ReadFull(from, body); err != nil || len(body) < 12 {
		return header{}, fmt.Errorf("%x: %w", body, err)
	}
	end := func(ip, port []byte) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4(*(*[4]byte)(ip)), binary.BigEndian.Uint16(port))
	}
	out := header{end(body[:4], body[8:]), end(body[4:8], body[10:]), map[byte]string{}}
	for rest := body[12:]; len(rest) > 0; {
		if len(rest) < 3 || len(rest) < 3+int(binary.BigEndian.Uint16(rest[1:])) {
			return header{}, fmt.Errorf("%x", rest)
		}
		length := 3 + int(binary.BigEndian.Uint16(rest[1:]))
		out.tlvs[rest[0]] = string(rest[3:length])
		rest = rest[length:]
	}
	return out, nil
}

func writeHeader(source, destination string) []byte {
	from, to := netip.MustParseAddrPort(source), netip.MustParseAddrPort(destination)
	out := append([]byte(signature+"\x21\x11\x00\x0c"), from.Addr().AsSlice()...)
	out = append(out, to.Addr().AsSlice()...)
	out = binary.BigEndian.AppendUint16(out, from.Port())
	return binary.BigEndian.AppendUint16(out, to.Port())
}

func listenAt(port int) smartvpn.RelayListener {
	return smartvpn.RelayListener{Address: "127.0.0.1", Port: smartvpn.Ptr(port)}
}

func routeTo(port int, name string) smartvpn.RelayRoute {
	return smartvpn.RelayRoute{Name: name, Action: smartvpn.RelayAction{
		Targets: []smartvpn.RelayTarget{{Host: "127.0.0.1", Port: smartvpn.TargetPort(port)}}}}
}

func relayConfig(port int) smartvpn.RelayConfig {
	return smartvpn.RelayConfig{
		Listen: []smartvpn.RelayListener{listenAt(0)},
		Routes: []smartvpn.RelayRoute{routeTo(port, "")},
	}
}

func newRelay(t testing.TB, config smartvpn.RelayConfig) *smartvpn.Relay {
	t.Helper()
	relay, err := smartvpn.NewRelay(config)
	ok(t, err)
	t.Cleanup(func() { relay.Close() })
	return relay
}

func runningRelay(t testing.TB, config smartvpn.RelayConfig) *smartvpn.Relay {
	t.Helper()
	relay := newRelay(t, config)
	ok(t, relay.Start())
	return relay
}

func relayEvents(t testing.TB, relay *smartvpn.Relay, types ...smartvpn.EventType) <-chan smartvpn.Event {
	t.Helper()
	events, err := relay.Events(patient(t), types...)
	ok(t, err)
	return events
}

// relayAt gives where a relay's listener is.
func relayAt(t testing.TB, relay *smartvpn.Relay, index int) string {
	t.Helper()
	endpoints, err := relay.Endpoints()
	ok(t, err)
	if len(endpoints) <= index {
		t.Fatalf("%v", endpoints)
	}
	return endpoints[index].Address
}

// connect gives a client's connection, all of whose waits are bounded.
func connect(t testing.TB, address string) net.Conn {
	t.Helper()
	peer, err := net.DialTimeout("tcp", address, patience)
	ok(t, err)
	ok(t, peer.SetDeadline(time.Now().Add(patience)))
	t.Cleanup(func() { peer.Close() })
	return peer
}

// says reads so much and wants it to be this.
func says(t testing.TB, peer net.Conn, wanted string) {
	t.Helper()
	got := make([]byte, len(wanted))
	_, err := io.ReadFull(peer, got)
	ok(t, err)
	if string(got) != wanted {
		t.Fatalf("%q, wanted %q", got, wanted)
	}
}

func asks(t testing.TB, peer net.Conn, question string) {
	t.Helper()
	_, err := io.WriteString(peer, question)
	ok(t, err)
	says(t, peer, question)
}

// wantsEnd waits for the end of a connection, regular or not.
func wantsEnd(t testing.TB, peer net.Conn) {
	t.Helper()
	n, err := peer.Read(make([]byte, 1))
	if late, is := err.(net.Error); n != 0 || err == nil || is && late.Timeout() {
		t.Fatalf("%d bytes, %v", n, err)
	}
}

func connections(t testing.TB, relay *smartvpn.Relay, wanted int) []smartvpn.RelayConnection {
	t.Helper()
	out, err := relay.Connections()
	ok(t, err)
	if len(out) != wanted {
		t.Fatalf("%+v", out)
	}
	return out
}
