package collector

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	smartvpn "github.com/smartvpn/smartvpn/bindings/go"
)

func collect(server *smartvpn.Server) (count int) {
	out := make(chan prometheus.Metric)
	go func() {
		var collector prometheus.Collector = Collector{server}
		collector.Collect(out)
		close(out)
	}()
	for range out {
		count++
	}
	return count
}

func TestACollectorGivesEverySeries(t *testing.T) {
	key, err := smartvpn.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	server, err := smartvpn.NewServer(smartvpn.Config{
		Listen:     []smartvpn.Listener{{Transport: smartvpn.WebSocket, Address: "127.0.0.1:0"}},
		Keys:       smartvpn.Keys{NoisePrivateKey: key},
		Forwarding: smartvpn.Forwarding{Mode: "testing"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	metrics, err := server.Metrics()
	if err != nil || len(metrics) < 20 {
		t.Fatal(len(metrics), err)
	}
	if got := collect(server); got != len(metrics) {
		t.Fatalf("%d of %d series", got, len(metrics))
	}
	server.Close()
	if got := collect(server); got != 1 { // the error
		t.Fatalf("%d series of a closed server", got)
	}
}
