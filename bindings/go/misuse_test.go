// Misuse gives an ordinary error, and the process lives on.

package smartvpn_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	smartvpn "github.com/smartvpn/smartvpn/bindings/go"
)

// callAll calls every method of a value that gives an error, with zero arguments, and wants this error.
func callAll(t *testing.T, value interface{}, wanted error, but ...string) {
	t.Helper()
	of := reflect.ValueOf(value)
	for i := 0; i < of.NumMethod(); i++ {
		name, method := of.Type().Method(i).Name, of.Method(i)
		kind := method.Type()
		if kind.NumOut() == 0 || kind.Out(kind.NumOut()-1) != reflect.TypeOf((*error)(nil)).Elem() || strings.Contains(" "+strings.Join(but, " ")+" ", " "+name+" ") {
			continue
		}
		var in []reflect.Value
		for j := 0; j < kind.NumIn() && !(kind.IsVariadic() && j == kind.NumIn()-1); j++ {
			switch argument := kind.In(j); {
			case argument == reflect.TypeOf((*context.Context)(nil)).Elem():
				in = append(in, reflect.ValueOf(patient(t)))
			case argument == reflect.TypeOf(smartvpn.Config{}):
				in = append(in, reflect.ValueOf(serverConfig(t, "testing")))
			default:
				in = append(in, reflect.Zero(argument))
			}
		}
		out := method.Call(in)
		err, _ := out[len(out)-1].Interface().(error)
		if !errors.Is(err, wanted) {
			t.Errorf("%T.%s gives %v", value, name, err)
		}
	}
}

func TestNilAndZeroValuesAreClosed(t *testing.T) {
	for _, value := range []interface{}{
		(*smartvpn.Server)(nil), &smartvpn.Server{}, (*smartvpn.Tunnel)(nil), &smartvpn.Tunnel{},
		smartvpn.Clients{}, smartvpn.Sessions{}, (*smartvpn.Server)(nil).Clients(), (&smartvpn.Server{}).Sessions(),
		(*smartvpn.Stats)(nil), &smartvpn.Stats{}, (*smartvpn.Packets)(nil), &smartvpn.Packets{},
		(*smartvpn.Subscription)(nil), &smartvpn.Subscription{}, (*smartvpn.Tx)(nil), &smartvpn.Tx{},
		(*smartvpn.Relay)(nil), &smartvpn.Relay{},
	} {
		callAll(t, value, smartvpn.ErrClosed, "Close")
		if closer, is := value.(interface{ Close() error }); is {
			ok(t, closer.Close())
			ok(t, closer.Close())
		}
	}
	if (*smartvpn.Server)(nil).State() != smartvpn.ServerClosed || (*smartvpn.Tunnel)(nil).State() != smartvpn.TunnelClosed ||
		(*smartvpn.Relay)(nil).State() != smartvpn.RelayClosed {
		t.Fatal("nil has a state")
	}
}

func TestZeroValuesInsideOthersCanBeClosed(t *testing.T) {
	held := &struct {
		name   string
		server smartvpn.Server
		tunnel smartvpn.Tunnel
		relay  smartvpn.Relay
		stats  smartvpn.Stats
	}{name: "held by value"}
	for i := 0; i < 2; i++ {
		_, _, _, _ = held.server.Close(), held.tunnel.Close(), held.relay.Close(), held.stats.Close() // the runtime would end the process
	}
	_, err := held.stats.U64("sessions.now")
	fails(t, err, smartvpn.ErrClosed)
}

func TestEverythingAnswersClosedAfterClose(t *testing.T) {
	server := runningServer(t, "host")
	tunnel := dial(t, tunnelConfig(t, server, "alice"))
	stats, err := server.Stats()
	ok(t, err)
	atServer, atTunnel := openPackets(t, server), openPackets(t, tunnel)
	ok(t, tunnel.Close())
	ok(t, server.Close())
	ok(t, stats.Close())
	callAll(t, server, smartvpn.ErrClosed, "Close", "Authorize", "AuthorizeWith")
	callAll(t, server.Clients(), smartvpn.ErrClosed)
	callAll(t, server.Sessions(), smartvpn.ErrClosed)
	callAll(t, tunnel, smartvpn.ErrClosed, "Close")
	callAll(t, stats, smartvpn.ErrClosed, "Close")
	for _, packets := range []*smartvpn.Packets{atServer, atTunnel} {
		_, err := packets.Read(patient(t))
		fails(t, err, smartvpn.ErrClosed)
		_, err = packets.Write(patient(t), [][]byte{make([]byte, 40)})
		fails(t, err, smartvpn.ErrClosed)
	}
}

func TestTextsWithANulInsideAreRefused(t *testing.T) {
	server := runningServer(t, "testing")
	clients := server.Clients()
	create(t, server, smartvpn.ClientSpec{ID: "alice"})
	const id = "alice\x00bob"
	_, err := clients.Get(id)
	fails(t, err, smartvpn.ErrInvalid)
	_, err = clients.Export(id, smartvpn.ExportNative)
	fails(t, err, smartvpn.ErrInvalid)
	_, err = clients.Create(smartvpn.ClientSpec{ID: id})
	fails(t, err, smartvpn.ErrInvalid)
	for _, err := range []error{clients.Remove(id), clients.Disable(id), clients.Update(id, smartvpn.Patch{}, 0), clients.RotateCommit(id)} {
		fails(t, err, smartvpn.ErrInvalid)
	}
	stats, err := server.Stats()
	ok(t, err)
	defer stats.Close()
	_, err = stats.U64("clients\x00")
	fails(t, err, smartvpn.ErrInvalid)
	get(t, server, "alice")
}

func TestACancelledContextIsSeenByEveryWait(t *testing.T) {
	server := runningServer(t, "host")
	config := tunnelConfig(t, server, "alice")
	packets := openPackets(t, server)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for name, wait := range map[string]func() error{
		"Subscribe": func() error { return second(server.Subscribe(ctx)) },
		"Events":    func() error { return second(server.Events(ctx)) },
		"Read":      func() error { return second(packets.Read(ctx)) },
		"Write":     func() error { return second(packets.Write(ctx, [][]byte{make([]byte, 40)})) },
		"Dial":      func() error { return second(smartvpn.Dial(ctx, config)) },
		"Stop":      func() error { return server.Stop(ctx, time.Minute) },
	} {
		if err := wait(); !errors.Is(err, context.Canceled) || errors.Is(err, smartvpn.ErrTimeout) {
			t.Errorf("%s gives %v", name, err)
		}
	}
	wants(t, server, smartvpn.ServerRunning) // which the cancelled Stop has not touched
}

func TestADeadlineIsATimeoutAndWhatIsClosedSaysSo(t *testing.T) {
	server := runningServer(t, "host")
	packets := openPackets(t, server)
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	err := second(packets.Read(ctx))
	fails(t, err, context.DeadlineExceeded)
	fails(t, err, smartvpn.ErrTimeout)
	ok(t, server.Close())
	for _, err := range []error{server.Start(), second(server.Packets()), second(server.Clients().List())} {
		var problem *smartvpn.Error
		if !errors.As(err, &problem) || problem.Status != smartvpn.ErrClosed {
			t.Errorf("%#v", err)
		}
	}
	_, err = server.Clients().Rotate("alice", smartvpn.RotateOptions{Overlap: smartvpn.Ptr(500 * time.Millisecond)})
	fails(t, err, smartvpn.ErrInvalid)
	_, err = (*smartvpn.Credentials)(nil).TunnelConfig()
	fails(t, err, smartvpn.ErrInvalid)
}

func TestErrorsSayWhatAStatusCannot(t *testing.T) {
	_, err := smartvpn.NewServer(smartvpn.Config{})
	var problem *smartvpn.Error
	if !errors.As(err, &problem) || problem.Op != "new server" || problem.Path != "/listen" || problem.Status.Name() != "INVALID" {
		t.Fatalf("%#v", err)
	}
	if text := err.Error(); !strings.HasPrefix(text, "smartvpn: new server: /listen: ") {
		t.Fatal(text)
	}
	if text := smartvpn.ErrNotFound.Error(); !strings.HasPrefix(text, "smartvpn: ") || len(text) < 15 {
		t.Fatal(text)
	}
	if errors.Is(err, smartvpn.ErrNotFound) || errors.Is(err, context.Canceled) {
		t.Fatal("it is everything")
	}
}
