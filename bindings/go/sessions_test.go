// Sessions from their rise to their fall, and what is counted meanwhile.

package smartvpn_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	smartvpn "github.com/smartvpn/smartvpn/bindings/go"
)

func TestASessionIsListedDescribedAndDisconnected(t *testing.T) {
	server := runningServer(t, "testing")
	sessions := server.Sessions()
	events := subscribe(t, server, smartvpn.SessionUp, smartvpn.SessionDown)
	config := tunnelConfig(t, server, "alice")
	config.Reconnect = &smartvpn.Reconnect{Enabled: smartvpn.Ptr(false)}
	before := time.Now().Add(-time.Minute)
	dial(t, config)
	up := nextOf(t, events.C, smartvpn.SessionUp)
	list, err := sessions.List()
	ok(t, err)
	if len(list) != 1 {
		t.Fatalf("%v", list)
	}
	one, err := sessions.Get(up.SessionID)
	ok(t, err)
	if one.ID != up.SessionID || one.ClientID != "alice" || one.Transport != smartvpn.WebSocket || one.RemoteAddr != one.PeerAddr ||
		!strings.HasPrefix(one.RemoteAddr, "127.0.0.1:") || !reflect.DeepEqual(one.Addresses, up.Addresses) || one.OuterBytesIn == 0 ||
		one.Since.Before(before) || one.LossPPM != nil || one.Health == "" || !reflect.DeepEqual(list[0].Addresses, one.Addresses) {
		t.Fatalf("%+v", one)
	}
	info, err := sessions.Info(up.SessionID)
	ok(t, err)
	if info.ID != up.SessionID || info.Transport != smartvpn.WebSocket || info.LossPPM != smartvpn.NoLoss || info.Health != one.Health ||
		!info.Since.Equal(one.Since.Time) || info.OuterBytesIn < one.OuterBytesIn {
		t.Fatalf("%+v", info)
	}
	_, err = sessions.Get(up.SessionID + 1)
	fails(t, err, smartvpn.ErrNotFound)
	_, err = sessions.Info(up.SessionID + 1)
	fails(t, err, smartvpn.ErrNotFound)
	ok(t, sessions.Disconnect(up.SessionID))
	down := nextOf(t, events.C, smartvpn.SessionDown)
	if down.Reason != "disconnected" || down.SessionID != up.SessionID || down.Duration() < 0 || down.BytesIn != 0 {
		t.Fatalf("%s", down)
	}
	fails(t, sessions.Disconnect(up.SessionID), smartvpn.ErrNotFound)
	_, err = newServer(t, serverConfig(t, "testing")).Sessions().List()
	fails(t, err, smartvpn.ErrBadState)
}

func TestASnapshotCountsAndDoesNotChange(t *testing.T) {
	server := runningServer(t, "testing")
	snapshot := func() *smartvpn.Stats {
		stats, err := server.Stats()
		ok(t, err)
		t.Cleanup(func() { stats.Close() })
		return stats
	}
	number := func(stats *smartvpn.Stats, name string) uint64 {
		value, err := stats.U64(name)
		ok(t, err)
		return value
	}
	before := snapshot()
	tunnel := dial(t, tunnelConfig(t, server, "alice"))
	var after *smartvpn.Stats
	eventually(t, "a session", func() bool { after = snapshot(); return number(after, "sessions_now") == 1 })
	if number(before, "sessions_now") != 0 || number(after, "clients") != 1 || number(after, "drops.spoofed_source") != 0 {
		t.Fatal("the snapshots are not of their moments")
	}
	for _, wrong := range []string{"", "nonsense", "drops.nonsense"} {
		_, err := after.U64(wrong)
		fails(t, err, smartvpn.ErrNotFound)
	}
	figures, err := after.Figures()
	ok(t, err)
	if figures.Total.SessionsNow != 1 || figures.Clients != 1 || figures.Listeners[0].SessionsNow != 1 || figures.Listeners[0].Transport != smartvpn.WebSocket ||
		figures.Transports["websocket"].HandshakesCompleted != 1 || figures.Total.OuterBytesIn == 0 || figures.Started.IsZero() || figures.AEAD == "" {
		t.Fatalf("%+v", figures)
	}
	ofClient, err := server.Clients().Stats("alice")
	ok(t, err)
	if ofClient.ClientID != "alice" || ofClient.SessionsNow != 1 || ofClient.SessionsTotal != 1 {
		t.Fatalf("%+v", ofClient)
	}
	ofTunnel, err := tunnel.Stats()
	ok(t, err)
	defer ofTunnel.Close()
	if number(ofTunnel, "outer_bytes_in") == 0 {
		t.Fatal("the tunnel has counted nothing")
	}
	ok(t, server.Close())
	number(after, "sessions_now") // a snapshot outlives its server
	ok(t, after.Close())
	ok(t, after.Close())
	_, err = after.U64("sessions_now")
	fails(t, err, smartvpn.ErrClosed)
	_, err = after.JSON()
	fails(t, err, smartvpn.ErrClosed)
}

func TestMetricsAreServedAndTakenApart(t *testing.T) {
	server := runningServer(t, "testing")
	web := httptest.NewServer(server.MetricsHandler())
	defer web.Close()
	response, err := http.Get(web.URL)
	ok(t, err)
	text, err := io.ReadAll(response.Body)
	response.Body.Close()
	ok(t, err)
	if response.StatusCode != 200 || !strings.Contains(string(text), "\nsmartvpn_sessions{") || !strings.Contains(response.Header.Get("Content-Type"), "version=0.0.4") {
		t.Fatalf("%v %s", response, text)
	}
	response, err = http.Post(web.URL, "", nil)
	ok(t, err)
	response.Body.Close()
	if response.StatusCode != http.StatusMethodNotAllowed {
		t.Fatalf("%v", response.Status)
	}
	metrics, err := server.Metrics()
	ok(t, err)
	kinds := map[string]int{}
	for _, metric := range metrics {
		if !strings.HasPrefix(metric.Name, "smartvpn_") || metric.Help == "" || (metric.Type != "gauge" && metric.Type != "counter") {
			t.Fatalf("%+v", metric)
		}
		kinds[metric.Name]++
		if metric.Name == "smartvpn_sessions" && (metric.Labels[0] != smartvpn.Label{Name: "listener", Value: "0"} || len(metric.Labels) < 3) {
			t.Fatalf("%+v", metric)
		}
	}
	series := 0
	for _, line := range strings.Split(string(text), "\n") {
		if line != "" && line[0] != '#' {
			series++
		}
	}
	if len(metrics) != series || kinds["smartvpn_sessions"] != 1 {
		t.Fatalf("%d of %d series", len(metrics), series)
	}
	ok(t, server.Close())
	response, err = http.Get(web.URL)
	ok(t, err)
	response.Body.Close()
	if response.StatusCode != http.StatusServiceUnavailable {
		t.Fatalf("%v", response.Status)
	}
}

func TestOddMetricsAreReadOrRefused(t *testing.T) {
	metrics, err := smartvpn.ParseMetrics("# HELP a b\\\\c\\nd\n# TYPE a gauge\na{x=\"1\\\"2\\\\3\\n4\",y=\"}, {\"} 5.5\n\na 1e3\n")
	ok(t, err)
	wanted := []smartvpn.Metric{
		{Name: "a", Help: "b\\c\nd", Type: "gauge", Value: 5.5, Labels: []smartvpn.Label{{Name: "x", Value: "1\"2\\3\n4"}, {Name: "y", Value: "}, {"}}},
		{Name: "a", Help: "b\\c\nd", Type: "gauge", Value: 1000},
	}
	if !reflect.DeepEqual(metrics, wanted) {
		t.Fatalf("%+v", metrics)
	}
	for _, wrong := range []string{"a", "a x", `a{x="1} 1`, `a{x} 1`, `a{x="1"`, " 1", `a{x="\`} {
		_, err := smartvpn.ParseMetrics(wrong)
		fails(t, err, smartvpn.ErrInternal)
	}
}

func TestKeysAndQRCodes(t *testing.T) {
	if smartvpn.Version() == "" || !smartvpn.Has("websocket") || smartvpn.Has("nonsense") || smartvpn.Has("tunnel\x00") {
		t.Fatal("what the library is")
	}
	one, err := smartvpn.GenerateKey()
	ok(t, err)
	two, err := smartvpn.GenerateKey()
	ok(t, err)
	if len(one) != 44 || one == two {
		t.Fatalf("%d bytes", len(one))
	}
	for _, wrong := range []string{"", "x", one + "\x00", one[:43] + "!"} {
		_, err := smartvpn.PublicKey(wrong)
		fails(t, err, smartvpn.ErrInvalid)
	}
	if !smartvpn.Has("qr") {
		_, err := smartvpn.QR("x", smartvpn.QRPNG)
		fails(t, err, smartvpn.ErrUnsupported)
		return
	}
	for form, begin := range map[smartvpn.QRForm]string{smartvpn.QRMatrix: "1111111", smartvpn.QRPNG: "\x89PNG", smartvpn.QRSVG: "<", smartvpn.QRText: ""} {
		code, err := smartvpn.QR("[Interface]", form)
		ok(t, err)
		if len(code) < 100 || !strings.HasPrefix(string(code), begin) || (form != smartvpn.QRPNG && strings.Contains(string(code), "\x00")) {
			t.Fatalf("form %d: %q", form, code)
		}
	}
	_, err = smartvpn.QR(strings.Repeat("x", 3000), smartvpn.QRText)
	fails(t, err, smartvpn.ErrLimit)
	_, err = smartvpn.QR("x", 99)
	fails(t, err, smartvpn.ErrInvalid)
}
