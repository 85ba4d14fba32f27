// The bindings' benchmark in Go, with the package as its manual says: the jobs of host.c, done in the same way.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	smartvpn "github.com/smartvpn/smartvpn/bindings/go"
)

type host struct {
	server  *smartvpn.Server
	tunnels int
	round   int
}

type result struct {
	count, sum   uint64
	seconds, cpu time.Duration
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "host:", err)
		os.Exit(1)
	}
}

// Whose processor time is measured: clock ids of clock_gettime(2).
const (
	process = 2
	thread  = 3
)

func processorTime(whose int) time.Duration {
	var t syscall.Timespec
	if _, _, failed := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, uintptr(whose), uintptr(unsafe.Pointer(&t)), 0); failed != 0 {
		must(failed)
	}
	return time.Duration(t.Nano())
}

func measured(whose int, work func(*result)) result {
	var r result
	runtime.GC() // what was allocated before is no part of it
	if whose == thread {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
	}
	begin, cpu := time.Now(), processorTime(whose)
	work(&r)
	r.seconds, r.cpu = time.Since(begin), processorTime(whose)-cpu
	return r
}

func (h *host) figure(name string) uint64 {
	stats, err := h.server.Stats()
	must(err)
	defer stats.Close()
	value, err := stats.U64(name)
	must(err)
	return value
}

func (h *host) change(count int, create bool) {
	h.round++
	_, err := h.server.Clients().Transaction(func(tx *smartvpn.Tx) error {
		for i := 0; i < count; i++ {
			id := fmt.Sprintf("client-%d", i)
			var err error
			if create {
				err = tx.Create(smartvpn.ClientSpec{ID: id, NoisePublicKey: fmt.Sprintf("%042dA=", i+1)})
			} else {
				err = tx.Update(id, smartvpn.Patch{"description": fmt.Sprintf("round %d", h.round)})
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	must(err)
}

func (h *host) events(wanted int) result {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	events, err := h.server.Events(ctx, smartvpn.ClientChanged)
	must(err)
	h.change(wanted, false)
	return measured(process, func(r *result) {
		for event := range events {
			if event.Type == smartvpn.ClientChanged {
				r.sum += uint64(len(event.ClientID))
			}
			if r.count++; r.count == uint64(wanted) {
				return
			}
		}
	})
}

func (h *host) sessions(wanted uint64) result {
	for h.figure("sessions_now") < wanted {
		time.Sleep(20 * time.Millisecond)
	}
	return measured(process, func(r *result) {
		sessions, err := h.server.Sessions().List()
		must(err)
		r.count = uint64(len(sessions))
	})
}

func (h *host) do(job string, n [3]int) string {
	millis := func(i int) time.Duration { return time.Duration(n[i]) * time.Millisecond }
	var r result
	switch job {
	case "fill":
		h.fill(uint64(n[0]))
		return "full"
	case "clear":
		h.clear()
		return "clear"
	case "clients":
		h.change(n[0], true)
		return "created"
	case "read":
		r = h.read(n[0], millis(1))
	case "echo":
		r = h.echo(n[0], millis(1))
	case "write":
		r = h.stream(n[0], n[1], millis(2))
	case "burst":
		r = h.burst(n[0], n[1], uint64(n[2]))
	case "drain":
		r = h.drain(n[0], uint64(n[1]))
	case "events":
		r = h.events(n[0])
	case "sessions":
		r = h.sessions(uint64(n[0]))
	default:
		must(fmt.Errorf("what is %s", job))
	}
	return fmt.Sprintf("%d %.9f %.9f %d", r.count, r.seconds.Seconds(), r.cpu.Seconds(), r.sum)
}

func main() {
	data, err := os.ReadFile(os.Args[1])
	must(err)
	tunnels, err := strconv.Atoi(os.Args[2])
	must(err)
	server, err := smartvpn.NewServer(smartvpn.Config{Raw: data})
	must(err)
	must(server.Start())
	endpoints, err := server.Endpoints()
	must(err)
	fmt.Println("ready", endpoints[0].Address)
	h := &host{server: server, tunnels: tunnels}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		words := strings.Fields(lines.Text())
		var numbers [3]int
		for i, word := range words[1:] {
			numbers[i], err = strconv.Atoi(word)
			must(err)
		}
		fmt.Println(h.do(words[0], numbers))
	}
	must(server.Close())
}
