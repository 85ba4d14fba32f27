// Jobs about packets.

package main

import (
	"context"
	"math"
	"time"

	smartvpn "github.com/smartvpn/smartvpn/bindings/go"
)

const (
	arena = 1 << 20
	poll  = 50 * time.Millisecond
)

func (h *host) packets(batch int) *smartvpn.Packets {
	packets, err := h.server.Packets(smartvpn.PacketOptions{Batch: batch, ArenaBytes: arena})
	must(err)
	return packets
}

// take reads one batch and looks at it; false when the context has ended.
func (r *result) take(ctx context.Context, packets *smartvpn.Packets) (smartvpn.Batch, bool) {
	batch, err := packets.Read(ctx)
	if err != nil && ctx.Err() != nil {
		return batch, false
	}
	must(err)
	for _, packet := range batch.Packets {
		r.sum += uint64(len(packet)) + uint64(packet[0])
	}
	r.count += uint64(len(batch.Packets))
	return batch, true
}

func (h *host) read(batch int, duration time.Duration) result {
	packets := h.packets(batch)
	defer packets.Close()
	ctx, cancel := context.WithTimeout(context.Background(), duration)
	defer cancel()
	return measured(process, func(r *result) {
		for ok := true; ok; {
			_, ok = r.take(ctx, packets)
		}
	})
}

func (h *host) echo(batch int, duration time.Duration) result {
	packets := h.packets(batch)
	defer packets.Close()
	ctx, cancel := context.WithTimeout(context.Background(), duration)
	defer cancel()
	return measured(process, func(r *result) {
		for {
			some, ok := r.take(ctx, packets)
			if !ok {
				return
			}
			for _, packet := range some.Packets {
				var from [4]byte
				copy(from[:], packet[12:16])
				copy(packet[12:16], packet[16:20])
				copy(packet[16:20], from[:])
			}
			_, err := packets.TryWrite(some.Packets)
			must(err)
		}
	})
}

func (h *host) drain(batch int, wanted uint64) result {
	packets := h.packets(batch)
	defer packets.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return measured(thread, func(r *result) {
		for ok := true; ok && r.count < wanted; {
			_, ok = r.take(ctx, packets)
		}
	})
}

func (h *host) write(size, batch int, duration time.Duration, atMost uint64, whose int) result {
	packets, made := h.packets(batch), build(batch, size, h.tunnels)
	defer packets.Close()
	_, err := packets.TryWrite(made) // what grows with use has grown
	must(err)
	return measured(whose, func(r *result) {
		for end := time.Now().Add(duration); r.count < atMost && time.Now().Before(end); {
			taken, err := packets.TryWrite(made)
			must(err)
			if taken == 0 {
				time.Sleep(50 * time.Microsecond)
			}
			r.count += uint64(taken)
			r.sum += uint64(taken * size)
		}
	})
}

func (h *host) burst(size, batch int, count uint64) result {
	return h.write(size, batch, time.Minute, count, thread)
}

func (h *host) stream(size, batch int, duration time.Duration) result {
	return h.write(size, batch, duration, math.MaxUint64, process)
}

func (h *host) fill(count uint64) {
	for goal := h.figure("inner_packets_in") + count; h.figure("inner_packets_in") < goal; {
		time.Sleep(2 * time.Millisecond)
	}
}

func (h *host) clear() {
	packets := h.packets(256)
	defer packets.Close()
	for ok := true; ok; {
		ctx, cancel := context.WithTimeout(context.Background(), poll)
		_, ok = new(result).take(ctx, packets)
		cancel()
	}
}

// build makes IPv4 UDP packets to the clients.
func build(count, size, tunnels int) [][]byte {
	made := make([][]byte, count)
	for i := range made {
		p := make([]byte, size)
		copy(p, []byte{0x45, 0, byte(size >> 8), byte(size), 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 9, 10, 8, 1, byte(i%tunnels + 1)})
		sum := 0
		for k := 0; k < 20; k += 2 {
			sum += int(p[k])<<8 | int(p[k+1])
		}
		sum = ^(sum&0xffff + sum>>16)
		p[10], p[11] = byte(sum>>8), byte(sum)
		p[24], p[25] = byte((size-20)>>8), byte(size-20)
		made[i] = p
	}
	return made
}
