// Nothing is left behind: goroutines, descriptors, threads. And much at once disturbs nobody.

package smartvpn_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	smartvpn "github.com/smartvpn/smartvpn/bindings/go"
)

// held counts what the process holds: goroutines, descriptors, and threads of the library's.
func held(t testing.TB) (goroutines, descriptors, threads int) {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	ok(t, err)
	tasks, err := filepath.Glob("/proc/self/task/*/comm")
	ok(t, err)
	for _, task := range tasks {
		if name, err := os.ReadFile(task); err == nil && strings.HasPrefix(string(name), "svpn-") {
			threads++
		}
	}
	return runtime.NumGoroutine(), len(open), threads
}

// leavesNothing does something a few times to warm up, then so many times, and wants nothing left.
func leavesNothing(t *testing.T, times int, do func()) {
	t.Helper()
	for i := 0; i < 3; i++ {
		do()
	}
	goroutines, descriptors, threads := held(t)
	for i := 0; i < times; i++ {
		do()
	}
	eventually(t, "nothing left", func() bool {
		g, d, th := held(t)
		return g <= goroutines && d <= descriptors && th <= threads
	})
}

func TestAThousandLivesLeaveNothing(t *testing.T) {
	config := serverConfig(t, "host")
	config.Security.Authorize = "required"
	allow := func(context.Context, smartvpn.Request) smartvpn.Decision { return smartvpn.Allow() }
	leavesNothing(t, 1000, func() {
		server, err := smartvpn.NewServer(config)
		ok(t, err)
		subscription, err := server.Subscribe(context.Background())
		ok(t, err)
		ok(t, server.Authorize(allow))
		ok(t, server.Start())
		packets, err := server.Packets()
		ok(t, err)
		read := make(chan error)
		go func() { read <- second(packets.Read(context.Background())) }()
		ok(t, server.Close())
		fails(t, <-read, smartvpn.ErrClosed)
		ok(t, packets.Close())
		for range subscription.C {
		}
	})
}

func TestTunnelsLeaveNothing(t *testing.T) {
	server := runningServer(t, "host")
	config := tunnelConfig(t, server, "alice")
	leavesNothing(t, 20, func() {
		tunnel, err := smartvpn.Dial(patient(t), config)
		ok(t, err)
		events, err := tunnel.Events(context.Background())
		ok(t, err)
		ok(t, tunnel.Close())
		for range events {
		}
	})
}

func TestForgottenThingsGoWithTheCollector(t *testing.T) {
	config := serverConfig(t, "testing")
	asking := serverConfig(t, "testing")
	asking.Security.Authorize = "required"
	allow := func(context.Context, smartvpn.Request) smartvpn.Decision { return smartvpn.Allow() }
	server := runningServer(t, "testing")
	leavesNothing(t, 50, func() {
		_, err := smartvpn.NewServer(config)
		ok(t, err)
		forgotten, err := smartvpn.NewServer(asking)
		ok(t, err)
		ok(t, forgotten.Authorize(allow))
		_, err = server.Stats()
		ok(t, err)
		runtime.GC()
	})
}

func TestAChildProcessInheritsNothing(t *testing.T) {
	inherited := func() int {
		out, err := exec.Command("ls", "/proc/self/fd").Output()
		ok(t, err)
		return len(strings.Fields(string(out)))
	}
	before := inherited() // what this process was given itself
	server := runningServer(t, "host")
	tunnel := dial(t, tunnelConfig(t, server, "alice"))
	openPackets(t, server)
	openPackets(t, tunnel)
	subscribe(t, server)
	if after := inherited(); after != before {
		t.Fatalf("%d descriptors instead of %d", after, before)
	}
}

func TestMuchAtOnceDisturbsNobody(t *testing.T) {
	server := runningServer(t, "host")
	subscription := subscribe(t, server)
	packets := openPackets(t, server)
	var group sync.WaitGroup
	work := func(do func(n int) error) {
		group.Add(1)
		go func() {
			defer group.Done()
			for n := 0; n < 30; n++ {
				err := do(n)
				ended := errors.Is(err, smartvpn.ErrClosed) || errors.Is(err, smartvpn.ErrBadState) // closed, or closing
				if err != nil && !ended && !errors.Is(err, context.Canceled) {
					t.Error(err)
					return
				}
			}
		}()
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	clients := server.Clients()
	for w := 0; w < 3; w++ {
		w := w
		work(func(n int) error {
			return second(clients.Create(smartvpn.ClientSpec{ID: fmt.Sprintf("c-%d-%d", w, n)}))
		})
		work(func(int) error { return second(clients.List()) })
		work(func(int) error { return second(server.Sessions().List()) })
		work(func(int) error { return second(server.Metrics()) })
		work(func(int) error { return second(packets.Read(ctx)) })
		work(func(int) error {
			return second(packets.TryWrite([][]byte{make([]byte, 40)}))
		})
		work(func(int) error {
			one, err := server.Subscribe(ctx)
			if err != nil {
				return err
			}
			return one.Close()
		})
	}
	for created := 0; created < 90; created++ {
		nextOf(t, subscription.C, smartvpn.ClientChanged)
	}
	cancel()
	ok(t, server.Close()) // while the others are at it
	group.Wait()
}
