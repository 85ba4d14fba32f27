// Inner packets in batches, for forwarding mode "host": one crossing to C a batch.

package smartvpn

// #include "native.h"
import "C"

import (
	"context"
	"runtime"
	"time"
	"unsafe"
)

const (
	maxPacket    = 65535
	defaultBatch = 64
	defaultArena = 1 << 20
	maxBatch     = 256 // what the library takes in one call
)

// Batch is what a Read gave. Everything in it is valid until the next Read of the same Packets.
type Batch struct {
	Packets  [][]byte // from the first byte of the IP header; you may write into them
	Sessions []uint64 // which session each came from; 0 at a tunnel
	Segments []uint32 // 0: one packet. Else a TCP or UDP super-packet, to be cut into so many payload bytes
}

// PacketOptions are about how much one Read may give. Zero: the default.
type PacketOptions struct {
	Batch      int // packets a Read, 1..256; 64
	ArenaBytes int // bytes a Read, at least 65535; 1 MiB
}

// Packets reads the packets that come out of a server's or tunnel's tunnels, and writes those that go in. Reading and
// writing do not disturb each other. Several Packets of one server share what comes.
type Packets struct {
	server *C.smartvpn_server // one of both
	tunnel *C.smartvpn_tunnel
	owner  interface{} // keeps the server or tunnel from the collector
	wait   *waiter

	reading chan struct{} // held by who reads
	arena   []byte
	meta    []C.smartvpn_packet
	count   C.size_t
	status  C.smartvpn_status
	take    func(uintptr) bool
	batch   Batch

	writing chan struct{} // held by who writes
	out     []byte
	outMeta []C.smartvpn_packet
	taken   C.size_t
}

// Packets gives the packets of clients: checked, their source address vouched for. ErrBadState unless the server runs
// with forwarding mode "host". Close it.
func (s *Server) Packets(options ...PacketOptions) (*Packets, error) {
	fd, errno := C.svpn_dup_packets(s.native())
	return newPackets(&Packets{server: s.native(), owner: s}, int32(fd), errno, options)
}

// Packets gives the packets that the server sends. ErrBadState unless the tunnel has started with forwarding mode
// "host". Close it.
func (t *Tunnel) Packets(options ...PacketOptions) (*Packets, error) {
	fd, errno := C.svpn_dup_tunnel_packets(t.native())
	return newPackets(&Packets{tunnel: t.native(), owner: t}, int32(fd), errno, options)
}

func newPackets(p *Packets, fd int32, errno error, options []PacketOptions) (*Packets, error) {
	const op = "packets"
	wait, err := newWaiter(op, fd, errno)
	if err != nil {
		return nil, err
	}
	batch, arena := defaultBatch, defaultArena
	for _, option := range options {
		if option.Batch != 0 {
			batch = option.Batch
		}
		if option.ArenaBytes != 0 {
			arena = option.ArenaBytes
		}
	}
	if batch < 1 || batch > maxBatch || arena < maxPacket {
		wait.close()
		return nil, invalid(op, "", "a batch has 1 to 256 packets, an arena at least 65535 bytes")
	}
	p.wait = wait
	p.reading, p.writing = make(chan struct{}, 1), make(chan struct{}, 1)
	p.arena, p.meta = make([]byte, arena), make([]C.smartvpn_packet, batch)
	p.batch = Batch{make([][]byte, 0, batch), make([]uint64, 0, batch), make([]uint32, 0, batch)}
	p.take = p.takeBatch
	return p, nil
}

// acquire takes one of the two locks, unless the context ends before.
func acquire(ctx context.Context, lock chan struct{}) error {
	select {
	case lock <- struct{}{}:
		return nil
	default:
	}
	select {
	case lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Read waits for the first packet and gives all that are there, up to a batch. ErrClosed after Stop once everything
// was read, and after Close; ErrTooSmall if the next packet does not fit the arena; else the context's error.
func (p *Packets) Read(ctx context.Context) (Batch, error) {
	const op = "read packets"
	if p == nil || p.wait == nil {
		return Batch{}, closedError(op)
	}
	if err := acquire(ctx, p.reading); err != nil {
		return Batch{}, contextError(op, nothingDone, err)
	}
	defer func() { <-p.reading }()
	if err := p.wait.until(ctx, p.take); err == ErrClosed {
		return Batch{}, closedError(op)
	} else if err != nil {
		return Batch{}, contextError(op, nothingDone, err)
	}
	if err := failure(op, p.status, nil); err != nil {
		return Batch{}, err
	}
	return p.slices(), nil
}

// takeBatch is one attempt; false says that nothing was there.
func (p *Packets) takeBatch(uintptr) bool {
	arena, size, max := (*C.uint8_t)(unsafe.Pointer(&p.arena[0])), C.size_t(len(p.arena)), C.size_t(len(p.meta))
	if p.server != nil {
		p.status = C.smartvpn_packets_read(p.server, arena, size, &p.meta[0], C.sizeof_smartvpn_packet, max, &p.count, 0, nil)
	} else {
		p.status = C.smartvpn_tunnel_packets_read(p.tunnel, arena, size, &p.meta[0], C.sizeof_smartvpn_packet, max, &p.count, 0, nil)
	}
	return Status(p.status) != again
}

func (p *Packets) slices() Batch {
	packets, sessions, segments := p.batch.Packets[:0], p.batch.Sessions[:0], p.batch.Segments[:0]
	for i := range p.meta[:p.count] {
		meta := &p.meta[i]
		end := meta.offset + C.uint64_t(meta.length)
		packets = append(packets, p.arena[meta.offset:end:end])
		sessions = append(sessions, uint64(meta.session_id))
		segments = append(segments, uint32(meta.segment_size))
	}
	return Batch{packets, sessions, segments}
}

// Write hands packets over, to the clients that their destination addresses name, or to the server. It waits while
// there is no room, and says how many were taken, from the first on; fewer than all only with an error.
func (p *Packets) Write(ctx context.Context, packets [][]byte) (int, error) {
	return p.WriteBatch(ctx, Batch{Packets: packets})
}

// WriteBatch is Write with super-packets: Segments, unless nil, says for each packet what Batch.Segments says.
// Sessions is ignored.
func (p *Packets) WriteBatch(ctx context.Context, batch Batch) (int, error) {
	done := 0
	for pause := 50 * time.Microsecond; ; {
		taken, err := p.write(ctx, batch, done)
		done += taken
		if err != nil || done == len(batch.Packets) {
			return done, err
		}
		if taken > 0 {
			pause = 50 * time.Microsecond
			continue
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return done, contextError("write packets", "the context has ended before all were taken", ctx.Err())
		}
		if pause *= 2; pause > 5*time.Millisecond {
			pause = 5 * time.Millisecond
		}
	}
}

// TryWrite is Write without waiting: fewer than all without an error means that there was no more room. Packets that
// find no room may be dropped, as on any network.
func (p *Packets) TryWrite(packets [][]byte) (int, error) {
	for done := 0; ; {
		taken, err := p.write(context.Background(), Batch{Packets: packets}, done)
		done += taken
		if err != nil || taken == 0 || done == len(packets) {
			return done, err
		}
	}
}

// write makes one call for what fits a batch and the arena, from packet `first` on.
func (p *Packets) write(ctx context.Context, batch Batch, first int) (int, error) {
	const op = "write packets"
	if p == nil || p.wait == nil {
		return 0, closedError(op)
	}
	if err := ctx.Err(); err != nil {
		return 0, contextError(op, nothingDone, err)
	}
	if p.wait.closed.Load() {
		return 0, closedError(op)
	}
	if batch.Segments != nil && len(batch.Segments) != len(batch.Packets) {
		return 0, invalid(op, "", "Segments has another length than Packets")
	}
	if first == len(batch.Packets) {
		return 0, nil
	}
	if err := acquire(ctx, p.writing); err != nil {
		return 0, contextError(op, nothingDone, err)
	}
	defer func() { <-p.writing }()
	if err := p.pack(op, batch, first); err != nil {
		return 0, err
	}
	p.taken = 0
	arena, size, count := (*C.uint8_t)(unsafe.Pointer(&p.out[0])), C.size_t(len(p.out)), C.size_t(len(p.outMeta))
	var status C.smartvpn_status
	if p.server != nil {
		status = C.smartvpn_packets_write(p.server, arena, size, &p.outMeta[0], C.sizeof_smartvpn_packet, count, &p.taken, nil)
	} else {
		status = C.smartvpn_tunnel_packets_write(p.tunnel, arena, size, &p.outMeta[0], C.sizeof_smartvpn_packet, count, &p.taken, nil)
	}
	runtime.KeepAlive(p)
	if Status(status) == again {
		return 0, nil
	}
	return int(p.taken), failure(op, status, nil)
}

// pack copies as many packets as make a call into the arena for writing.
func (p *Packets) pack(op string, batch Batch, first int) error {
	p.out, p.outMeta = p.out[:0], p.outMeta[:0]
	for i := first; i < len(batch.Packets) && len(p.outMeta) < maxBatch; i++ {
		packet := batch.Packets[i]
		if len(packet) == 0 || len(packet) > maxPacket {
			return invalid(op, "", "a packet is empty or longer than 65535 bytes")
		}
		if len(p.out)+len(packet) > defaultArena {
			break
		}
		meta := C.smartvpn_packet{offset: C.uint64_t(len(p.out)), length: C.uint32_t(len(packet))}
		if batch.Segments != nil {
			meta.segment_size = C.uint32_t(batch.Segments[i])
		}
		p.out = append(p.out, packet...)
		p.outMeta = append(p.outMeta, meta)
	}
	return nil
}

// Close ends this way to the packets, not the server or tunnel. Whoever reads gets ErrClosed.
func (p *Packets) Close() error {
	if p != nil && p.wait != nil {
		p.wait.close()
	}
	return nil
}
