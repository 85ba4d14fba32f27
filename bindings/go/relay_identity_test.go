// Which VPN client a connection is of, and whether it is one of TCP or a client's datagrams.

package smartvpn_test

import (
	"encoding/binary"
	"net"
	"testing"
	"time"

	smartvpn "github.com/smartvpn/smartvpn/bindings/go"
)

const tlvIdentity = 0xe7

// identity is the TLV's value as docs/RELAY.md has it: a version byte, then id, inner address and session.
func identity(id string, inner [4]byte, session uint64) []byte {
	out := []byte{1, 1, 0, byte(len(id))}
	out = append(out, id...)
	out = append(append(out, 2, 0, 4), inner[:]...)
	return binary.BigEndian.AppendUint64(append(out, 3, 0, 8), session)
}

// withTLV adds a TLV to a header that writeHeader has made.
func withTLV(header []byte, kind byte, value []byte) []byte {
	out := append(append([]byte{}, header...), kind, byte(len(value)>>8), byte(len(value)))
	out = append(out, value...)
	binary.BigEndian.PutUint16(out[14:], uint16(len(out)-16))
	return out
}

func TestWhichClientItIsIsSaidByThoseWhoMay(t *testing.T) {
	server := newTarget(t, "", true)
	told := identity("alice", [4]byte{10, 8, 0, 2}, 7)
	for _, may := range []bool{true, false} {
		config := relayConfig(server.port)
		config.Routes[0].Action.SendProxyProtocol = "v2"
		config.Listen[0].AcceptProxyProtocol, config.Listen[0].TrustedProxies = "v2", []string{"127.0.0.1"}
		who := ""
		if may {
			who = "alice"
			config.Listen[0].MayAssertIdentity = []string{"127.0.0.1"}
		}
		relay := runningRelay(t, config)
		events := relayEvents(t, relay, smartvpn.ConnectionAccepted)
		peer := connect(t, relayAt(t, relay, 0))
		_, err := peer.Write(withTLV(writeHeader(realAddress, dialledAddress), tlvIdentity, told))
		ok(t, err)
		asks(t, peer, "hello")
		one := connections(t, relay, 1)[0]
		if one.ClientID != who || one.Transport != "tcp" || one.RemoteAddr != realAddress {
			t.Fatalf("%+v", one)
		}
		if accepted := nextOf(t, events, smartvpn.ConnectionAccepted); accepted.ClientID != who {
			t.Fatalf("%s", accepted)
		}
		if said, is := server.header(t).tlvs[tlvIdentity]; is != may || may && said != string(told) {
			t.Fatalf("%x", said)
		}
	}
}

func TestAClientsDatagramsAreAFlowInTheList(t *testing.T) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	ok(t, err)
	defer server.Close()
	ok(t, server.SetDeadline(time.Now().Add(patience)))
	config := relayConfig(server.LocalAddr().(*net.UDPAddr).Port)
	config.Listen[0].Protocol = "udp"
	relay := runningRelay(t, config)
	peer, err := net.Dial("udp", relayAt(t, relay, 0))
	ok(t, err)
	defer peer.Close()
	ok(t, peer.SetDeadline(time.Now().Add(patience)))
	_, err = peer.Write([]byte("hello"))
	ok(t, err)
	buffer := make([]byte, 16)
	n, from, err := server.ReadFrom(buffer)
	ok(t, err)
	_, err = server.WriteTo(buffer[:n], from)
	ok(t, err)
	says(t, peer, "hello")
	one := connections(t, relay, 1)[0]
	stats, err := relay.Stats()
	ok(t, err)
	defer stats.Close()
	figures, err := stats.RelayFigures()
	ok(t, err)
	counted := [4]uint64{figures.UDPFlowsTotal, figures.UDPFlowsOpen, figures.UDPDatagramsIn, figures.UDPDatagramsOut}
	if counted != [4]uint64{1, 1, 1, 1} {
		t.Fatalf("%+v", figures)
	}
	if one.Transport != "udp" || one.PeerAddr != peer.LocalAddr().String() || one.ClientID != "" {
		t.Fatalf("%+v", one)
	}
}
