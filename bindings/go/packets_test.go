// Inner packets: the host behind a server and the host behind a tunnel talk to each other.

package smartvpn_test

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	smartvpn "github.com/smartvpn/smartvpn/bindings/go"
)

func openPackets(t testing.TB, from interface {
	Packets(...smartvpn.PacketOptions) (*smartvpn.Packets, error)
}, options ...smartvpn.PacketOptions) *smartvpn.Packets {
	t.Helper()
	packets, err := from.Packets(options...)
	ok(t, err)
	t.Cleanup(func() { packets.Close() })
	return packets
}

// readAll reads until so many packets have come, and gives copies with their sessions.
func readAll(t testing.TB, packets *smartvpn.Packets, count int) (all [][]byte, sessions []uint64) {
	t.Helper()
	for len(all) < count {
		batch, err := packets.Read(patient(t))
		ok(t, err)
		if len(batch.Packets) == 0 || len(batch.Sessions) != len(batch.Packets) || len(batch.Segments) != len(batch.Packets) {
			t.Fatalf("a batch of %d packets, %d sessions, %d segments", len(batch.Packets), len(batch.Sessions), len(batch.Segments))
		}
		for i, packet := range batch.Packets {
			all = append(all, append([]byte(nil), packet...))
			sessions = append(sessions, batch.Sessions[i])
		}
	}
	return all, sessions
}

func TestPacketsGoBothWaysOfBothFamilies(t *testing.T) {
	server := runningServer(t, "host")
	tunnel := dial(t, tunnelConfig(t, server, "alice"))
	atServer, atTunnel := openPackets(t, server), openPackets(t, tunnel)
	for _, outside := range []string{"192.0.2.9", "2001:db8::9"} {
		far := netip.MustParseAddr(outside)
		own := address(t, tunnel, far.Is4())
		var sent [][]byte
		for i := 0; i < 500; i++ {
			sent = append(sent, udp(own, far, bytes.Repeat([]byte{byte(i)}, 1+i)))
		}
		n, err := atTunnel.Write(patient(t), sent)
		ok(t, err)
		if n != len(sent) {
			t.Fatalf("%d of %d taken", n, len(sent))
		}
		got, sessions := readAll(t, atServer, len(sent))
		live, err := server.Sessions().List()
		ok(t, err)
		for i := range sent {
			if !bytes.Equal(payload(got[i]), payload(sent[i])) || sessions[i] != live[0].ID {
				t.Fatalf("packet %d: %x of session %d", i, got[i], sessions[i])
			}
		}
		for i := range sent {
			sent[i] = udp(far, own, bytes.Repeat([]byte{byte(255 - i)}, 1+i))
		}
		_, err = atServer.Write(patient(t), sent)
		ok(t, err)
		got, sessions = readAll(t, atTunnel, len(sent))
		for i := range sent {
			if !bytes.Equal(payload(got[i]), payload(sent[i])) || sessions[i] != 0 {
				t.Fatalf("packet %d: %x of session %d", i, got[i], sessions[i])
			}
		}
	}
}

func TestBatchesAreAsLargeAsAskedFor(t *testing.T) {
	server := runningServer(t, "host")
	tunnel := dial(t, tunnelConfig(t, server, "alice"))
	atServer := openPackets(t, server, smartvpn.PacketOptions{Batch: 2, ArenaBytes: 65535})
	own, far := address(t, tunnel, true), netip.MustParseAddr("192.0.2.9")
	_, err := openPackets(t, tunnel).Write(patient(t), [][]byte{udp(own, far, []byte("1")), udp(own, far, []byte("2")), udp(own, far, []byte("3"))})
	ok(t, err)
	for seen := 0; seen < 3; {
		batch, err := atServer.Read(patient(t))
		ok(t, err)
		if len(batch.Packets) > 2 {
			t.Fatalf("%d packets in a batch", len(batch.Packets))
		}
		for _, packet := range batch.Packets {
			if seen++; string(payload(packet)) != fmt.Sprint(seen) {
				t.Fatalf("packet %d is %q", seen, payload(packet))
			}
		}
	}
}

func TestWaitingForPacketsEndsWithItsContext(t *testing.T) {
	packets := openPackets(t, runningServer(t, "host"))
	ctx, cancel := context.WithCancel(context.Background())
	failed := make(chan error, 2)
	for i := 0; i < 2; i++ { // one waits for packets, one for the other
		go func() {
			_, err := packets.Read(ctx)
			failed <- err
		}()
	}
	cancel()
	fails(t, <-failed, context.Canceled)
	fails(t, <-failed, context.Canceled)
	_, err := packets.Read(ctx)
	fails(t, err, context.Canceled)
	for i := 0; i < 3; i++ { // one that ended does not end the next
		soon, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		_, err = packets.Read(soon)
		fails(t, err, context.DeadlineExceeded)
		cancel()
	}
}

func TestWaitingForPacketsEndsWithTheServer(t *testing.T) {
	for name, end := range map[string]func(*smartvpn.Server, *smartvpn.Packets) error{
		"stop":    func(s *smartvpn.Server, _ *smartvpn.Packets) error { return s.Stop(context.Background(), 0) },
		"close":   func(s *smartvpn.Server, _ *smartvpn.Packets) error { return s.Close() },
		"packets": func(_ *smartvpn.Server, p *smartvpn.Packets) error { return p.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			server := runningServer(t, "host")
			packets := openPackets(t, server)
			failed := make(chan error)
			go func() {
				_, err := packets.Read(patient(t))
				failed <- err
			}()
			ok(t, end(server, packets))
			fails(t, <-failed, smartvpn.ErrClosed)
			_, err := packets.Read(patient(t))
			fails(t, err, smartvpn.ErrClosed)
			_, err = packets.TryWrite([][]byte{udp(netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("10.8.0.2"), nil)})
			fails(t, err, smartvpn.ErrClosed)
		})
	}
}

func TestSenselessPacketsAreRefused(t *testing.T) {
	server := runningServer(t, "host")
	packets := openPackets(t, server)
	for _, wrong := range [][]byte{nil, {}, make([]byte, 65536)} {
		n, err := packets.TryWrite([][]byte{make([]byte, 100), wrong})
		fails(t, err, smartvpn.ErrInvalid)
		if n != 0 {
			t.Fatalf("%d taken", n)
		}
	}
	_, err := packets.WriteBatch(patient(t), smartvpn.Batch{Packets: [][]byte{make([]byte, 100)}, Segments: []uint32{0, 0}})
	fails(t, err, smartvpn.ErrInvalid)
	n, err := packets.Write(patient(t), nil)
	ok(t, err)
	if n != 0 {
		t.Fatal("something was taken of nothing")
	}
	for _, wrong := range []smartvpn.PacketOptions{{Batch: -1}, {Batch: 257}, {ArenaBytes: 65534}} {
		_, err := server.Packets(wrong)
		fails(t, err, smartvpn.ErrInvalid)
	}
}

func TestOtherEnginesHaveNoPackets(t *testing.T) {
	_, err := runningServer(t, "testing").Packets()
	fails(t, err, smartvpn.ErrBadState)
	_, err = newServer(t, serverConfig(t, "host")).Packets()
	fails(t, err, smartvpn.ErrBadState)
}

func TestAFullServerIsWaitedForOrSaidToBe(t *testing.T) {
	server := runningServer(t, "host")
	tunnel := dial(t, tunnelConfig(t, server, "alice"))
	packets := openPackets(t, server)
	own := address(t, tunnel, true)
	flood := make([][]byte, 20000) // more than the ring's 4 MiB
	for i := range flood {
		flood[i] = udp(netip.MustParseAddr("192.0.2.9"), own, make([]byte, 1000))
	}
	n, err := packets.TryWrite(flood)
	ok(t, err)
	if n == 0 {
		t.Fatal("none was taken")
	}
	n, err = packets.Write(patient(t), flood)
	ok(t, err)
	if n != len(flood) {
		t.Fatalf("%d of %d taken", n, len(flood))
	}
}
