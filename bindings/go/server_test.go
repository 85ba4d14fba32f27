// A server's life: created, running, draining, stopped, from one goroutine and from several.

package smartvpn_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"

	smartvpn "github.com/smartvpn/smartvpn/bindings/go"
)

func sprintf(format string, values ...interface{}) string { return fmt.Sprintf(format, values...) }

func endpoint(t testing.TB, server *smartvpn.Server) string {
	t.Helper()
	endpoints, err := server.Endpoints()
	ok(t, err)
	if len(endpoints) == 0 {
		t.Fatal("no endpoint")
	}
	return endpoints[0].Address
}

func wants(t testing.TB, server *smartvpn.Server, state smartvpn.ServerState) {
	t.Helper()
	if got := server.State(); got != state {
		t.Fatalf("%v, wanted %v", got, state)
	}
}

func TestAServerGoesThroughItsStatesOnce(t *testing.T) {
	server := newServer(t, serverConfig(t, "testing"))
	wants(t, server, smartvpn.ServerCreated)
	endpoints, err := server.Endpoints()
	ok(t, err)
	if len(endpoints) != 0 {
		t.Fatalf("%v before start", endpoints)
	}
	ok(t, server.Start())
	wants(t, server, smartvpn.ServerRunning)
	connection, err := net.Dial("tcp", endpoint(t, server))
	ok(t, err)
	connection.Close()
	fails(t, server.Start(), smartvpn.ErrBadState)
	ok(t, server.Stop(patient(t), 0))
	wants(t, server, smartvpn.ServerStopped)
	ok(t, server.Stop(patient(t), time.Minute))
	fails(t, server.Start(), smartvpn.ErrBadState)
	ok(t, server.Close())
	ok(t, server.Close())
	wants(t, server, smartvpn.ServerClosed)
	fails(t, server.Start(), smartvpn.ErrClosed)
	fails(t, server.Stop(patient(t), 0), smartvpn.ErrClosed)
}

func TestAPortInUseIsASystemError(t *testing.T) {
	config := serverConfig(t, "testing")
	config.Listen[0].Address = endpoint(t, runningServer(t, "testing"))
	err := newServer(t, config).Start()
	fails(t, err, smartvpn.ErrSystem)
	fails(t, err, syscall.EADDRINUSE)
	var errno syscall.Errno
	if !errors.As(err, &errno) || errno != syscall.EADDRINUSE {
		t.Fatalf("%v has no errno", err)
	}
}

func TestAllWhoStopWaitForTheSameEnd(t *testing.T) {
	server := runningServer(t, "testing")
	failed := make(chan error)
	for i := 0; i < 8; i++ {
		stop := i%2 == 0
		go func() {
			if stop {
				failed <- server.Stop(patient(t), 0)
			} else {
				failed <- server.Close()
			}
		}()
	}
	for i := 0; i < 8; i++ {
		if err := <-failed; err != nil && !errors.Is(err, smartvpn.ErrClosed) {
			t.Error(err)
		}
	}
	wants(t, server, smartvpn.ServerClosed)
}

func TestAStopThatIsCancelledGoesOnInTheBackground(t *testing.T) {
	server := runningServer(t, "host")
	dial(t, tunnelConfig(t, server, "alice"))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	err := server.Stop(ctx, time.Minute)
	fails(t, err, context.DeadlineExceeded)
	fails(t, err, smartvpn.ErrTimeout)
	wants(t, server, smartvpn.ServerDraining)
	ok(t, server.Close()) // which does not wait out the minute
	fails(t, runningServer(t, "host").Stop(patient(t), -1), smartvpn.ErrInvalid)
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	fails(t, runningServer(t, "host").Stop(canceled, 0), context.Canceled)
}

func TestReconfiguringSaysWhatBecameOfEachKey(t *testing.T) {
	config := serverConfig(t, "testing")
	server := newServer(t, config)
	_, err := server.Reconfigure(config, false)
	fails(t, err, smartvpn.ErrBadState)
	ok(t, server.Start())
	changed := subscribe(t, server, smartvpn.Reconfigured)
	changes, err := server.Reconfigure(config, false)
	ok(t, err)
	if len(changes) != 0 {
		t.Fatalf("%v of nothing", changes)
	}
	config.Network.DNS = []string{"10.8.0.1"}
	config.Network.MTU = 1300
	wanted := "[{/network/dns applied} {/network/mtu needs_server_restart}]"
	for _, dry := range []bool{true, false} {
		changes, err := server.Reconfigure(config, dry)
		ok(t, err)
		if fmt.Sprint(changes) != wanted {
			t.Fatalf("%v", changes)
		}
	}
	event := nextOf(t, changed.C, smartvpn.Reconfigured)
	for len(event.Changes) == 0 { // that of the first call, which changed nothing
		event = nextOf(t, changed.C, smartvpn.Reconfigured)
	}
	if event.Changes["/network/dns"] != "applied" {
		t.Fatalf("%s", event)
	}
	config.Network.MTU = 7
	_, err = server.Reconfigure(config, false)
	fails(t, err, smartvpn.ErrInvalid)
	ok(t, server.ReloadCertificates())
}

func TestTheCollectorNeverStopsARunningServer(t *testing.T) {
	where := func() string {
		server, err := smartvpn.NewServer(serverConfig(t, "testing"))
		ok(t, err)
		ok(t, server.Start())
		return endpoint(t, server)
	}()
	for i := 0; i < 5; i++ {
		runtime.GC()
	}
	connection, err := net.Dial("tcp", where)
	ok(t, err)
	connection.Close()
	smartvpn.CloseAllForTest(t)
}
