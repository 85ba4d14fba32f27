// TLS that ends in a relay, with Go's own client and server at its ends.

package smartvpn_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	smartvpn "github.com/smartvpn/smartvpn/bindings/go"
)

const (
	tlvALPN = 0x01
	tlvSSL  = 0x20
)

func endingTLS(port int, mode string, certificates ...smartvpn.ListenerTLS) smartvpn.RelayConfig {
	config := relayConfig(port)
	config.Routes[0].Action.TLS = &smartvpn.RelayTLS{Mode: mode, Certificates: certificates,
		ALPN: []string{"h2", "http/1.1"}}
	return config
}

func TestTLSEndsInTheRelayByTheCertificateOfTheName(t *testing.T) {
	ca := newAuthority(t)
	one, two := ca.issue(t, "one.test"), ca.issue(t, "*.two.test")
	server := newTarget(t, "", true)
	config := endingTLS(server.port, "terminate", one, two)
	config.Routes[0].Action.SendProxyProtocol = "v2"
	relay := runningRelay(t, config)
	for name, certificate := range map[string]smartvpn.ListenerTLS{"one.test": one, "x.two.test": two} {
		peer := ca.dial(t, relayAt(t, relay, 0), name, "http/1.1")
		isFor(t, peer, certificate)
		if agreed := peer.ConnectionState().NegotiatedProtocol; agreed != "http/1.1" {
			t.Fatal(agreed)
		}
		asksMuch(t, peer)
		said := server.header(t)
		if said.source.String() != peer.LocalAddr().String() || said.tlvs[tlvALPN] != "http/1.1" || said.tlvs[tlvSSL] == "" {
			t.Fatalf("%+v", said)
		}
		ok(t, peer.CloseWrite())
		// A FIN without close_notify would be io.ErrUnexpectedEOF.
		if _, err := peer.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
	stranger := tls.Client(connect(t, relayAt(t, relay, 0)), &tls.Config{RootCAs: ca.pool, ServerName: "else.test"})
	var wrong x509.HostnameError
	if err := stranger.Handshake(); !errors.As(err, &wrong) {
		t.Fatal(err)
	}
}

func TestATargetIsMetByTLSOfItsOwn(t *testing.T) {
	ca, inner := newAuthority(t), newAuthority(t)
	front := ca.issue(t, "front.test")
	port, states := newTLSTarget(t, inner.issue(t, "behind.test"), "h2")
	config := endingTLS(port, "terminate-and-reencrypt", front)
	config.Routes[0].Action.TLS.Target = &smartvpn.RelayTargetTLS{CA: inner.pem, ServerName: "behind.test"}
	relay := runningRelay(t, config)
	peer := ca.dial(t, relayAt(t, relay, 0), "front.test", "h2")
	isFor(t, peer, front)
	asksMuch(t, peer)
	select {
	case state := <-states:
		if state.ServerName != "behind.test" || state.NegotiatedProtocol != "h2" {
			t.Fatalf("%+v", state)
		}
	case <-time.After(patience):
		t.Fatal("no handshake")
	}

	config.Routes[0].Action.TLS.Target.CA = ca.pem // which has not signed what the target shows
	_, err := relay.Reconfigure(config, false)
	ok(t, err)
	events := relayEvents(t, relay, smartvpn.ConnectionClosed)
	refused := ca.dial(t, relayAt(t, relay, 0), "front.test", "h2")
	wantsEnd(t, refused)
	if closed := nextOf(t, events, smartvpn.ConnectionClosed); closed.Reason != "tls_failed" || closed.BytesOut != 0 {
		t.Fatalf("%s", closed)
	}
	asksMuch(t, peer) // it has what it began with
}

func TestNewCertificatesAreForNewConnections(t *testing.T) {
	ca := newAuthority(t)
	one, two, three := ca.issue(t, "one.test"), ca.issue(t, "one.test"), ca.issue(t, "one.test")
	config := endingTLS(newTarget(t, "", false).port, "terminate", one)
	relay := runningRelay(t, config)
	first := ca.dial(t, relayAt(t, relay, 0), "one.test")
	isFor(t, first, one)
	asks(t, first, "1")

	config.Routes[0].Action.TLS.Certificates = []smartvpn.ListenerTLS{two}
	_, err := relay.Reconfigure(config, false)
	ok(t, err)
	second := ca.dial(t, relayAt(t, relay, 0), "one.test")
	isFor(t, second, two)
	asksMuch(t, first)

	folder := t.TempDir()
	files := smartvpn.ListenerTLS{Certificate: filepath.Join(folder, "cert.pem"),
		Key: smartvpn.Secret(filepath.Join(folder, "key.pem"))}
	write := func(certificate, key string) {
		ok(t, os.WriteFile(files.Certificate, []byte(certificate), 0o600))
		ok(t, os.WriteFile(string(files.Key), []byte(key), 0o600))
	}
	write(two.Certificate, string(two.Key))
	config.Routes[0].Action.TLS.Certificates = []smartvpn.ListenerTLS{files}
	_, err = relay.Reconfigure(config, false)
	ok(t, err)
	write(three.Certificate, string(two.Key))
	fails(t, relay.ReloadCertificates(), smartvpn.ErrInvalid) // the key is another's
	isFor(t, ca.dial(t, relayAt(t, relay, 0), "one.test"), two)
	write(three.Certificate, string(three.Key))
	ok(t, relay.ReloadCertificates())
	isFor(t, ca.dial(t, relayAt(t, relay, 0), "one.test"), three)
	asksMuch(t, first)
	asksMuch(t, second)
	connections(t, relay, 4)
}
