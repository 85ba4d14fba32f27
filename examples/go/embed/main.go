// embed is a VPN server inside a Go program, without privilege. It stands behind a proxy that sends PROXY v2 headers,
// prints the real addresses of clients, asks an HTTP service whether each may come in, and serves /metrics.
//
//	go run ./examples/go/embed
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"time"

	smartvpn "github.com/smartvpn/smartvpn/bindings/go"
)

var (
	listen = flag.String("listen", "127.0.0.1:8443", "where the proxy connects")
	web    = flag.String("http", "127.0.0.1:8080", "where /metrics is, and a /decide that lets everybody in")
	decide = flag.String("decide", "", "URL to ask about clients, 200 lets one in (default: our own /decide)")
	file   = flag.String("client", "", "file for a client's configuration (default: printed)")
)

func main() {
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	key, err := smartvpn.GenerateKey() // a real server keeps its key
	if err != nil {
		return err
	}
	server, err := smartvpn.NewServer(smartvpn.Config{
		Listen: []smartvpn.Listener{{Transport: smartvpn.WebSocket, Address: *listen,
			ProxyProtocol: &smartvpn.ProxyProtocol{Mode: "v2", TrustedProxies: []string{"127.0.0.1"}}}},
		Keys:       smartvpn.Keys{NoisePrivateKey: key},
		Forwarding: smartvpn.Forwarding{Mode: "testing"}, // answers ping; "tun" is the real thing
		Security:   smartvpn.Security{Authorize: "required"},
	})
	if err != nil {
		return err
	}
	defer server.Close()
	listener, err := net.Listen("tcp", *web)
	if err != nil {
		return err
	}
	defer listener.Close()
	http.Handle("/metrics", server.MetricsHandler())
	http.HandleFunc("/decide", func(http.ResponseWriter, *http.Request) {}) // 200 for everybody
	go func() { _ = http.Serve(listener, nil) }()
	fmt.Printf("metrics at http://%s/metrics\n", listener.Addr())
	if *decide == "" {
		*decide = "http://" + listener.Addr().String() + "/decide"
	}
	if err := server.Authorize(ask); err != nil {
		return err
	}
	events, err := server.Events(ctx, smartvpn.SessionUp, smartvpn.SessionDown, smartvpn.ConnectionRejected)
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	if err := newClient(server, "alice"); err != nil {
		return err
	}
	for event := range events { // until Ctrl-C
		fmt.Println(event.Name, event.ClientID, "from", event.RemoteAddr, "by", event.PeerAddr, event.Reason, event.Detail)
	}
	ending, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err = server.Stop(ending, time.Second)
	fmt.Println("stopped")
	return err
}

// ask has an HTTP service decide. The context ends when the answer would come too late.
func ask(ctx context.Context, request smartvpn.Request) smartvpn.Decision {
	query := url.Values{"client": {request.ClientID}, "address": {request.RemoteAddr}}
	question, err := http.NewRequestWithContext(ctx, http.MethodGet, *decide+"?"+query.Encode(), nil)
	if err != nil {
		return smartvpn.Deny(err.Error())
	}
	answer, err := http.DefaultClient.Do(question)
	if err != nil {
		return smartvpn.Deny(err.Error())
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return smartvpn.Deny(answer.Status)
	}
	return smartvpn.Allow()
}

// newClient makes a client and hands out its configuration, with which `smartvpn connect --config FILE` comes in.
func newClient(server *smartvpn.Server, id string) error {
	credentials, err := server.Clients().Create(smartvpn.ClientSpec{ID: id})
	if err != nil {
		return err
	}
	config, err := credentials.TunnelConfig()
	if err != nil {
		return err
	}
	config.ProxyProtocol = &smartvpn.SendProxy{Send: "v2"} // here no proxy is between, so the client sends the header
	text, err := config.JSON(true)
	if err != nil {
		return err
	}
	if *file != "" {
		return os.WriteFile(*file, text, 0o600)
	}
	fmt.Println(string(text))
	return nil
}
