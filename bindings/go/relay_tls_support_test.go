// Certificates of an authority that lives as long as its test, and a target that speaks TLS.

package smartvpn_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"testing"
	"time"

	smartvpn "github.com/smartvpn/smartvpn/bindings/go"
)

type authority struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
	pool        *x509.CertPool
	pem         string
}

func certificateTemplate(t testing.TB, subject string, names ...string) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	ok(t, err)
	return &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: subject}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ok(t, err)
	return key
}

func pemText(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	template := certificateTemplate(t, "authority")
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage, template.ExtKeyUsage = x509.KeyUsageCertSign, nil
	key := newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	ok(t, err)
	made := &authority{key: key, pool: x509.NewCertPool(), pem: pemText("CERTIFICATE", der)}
	made.certificate, err = x509.ParseCertificate(der)
	ok(t, err)
	made.pool.AddCert(made.certificate)
	return made
}

// issue gives the PEM texts of a new certificate for these names and of its key.
func (a *authority) issue(t testing.TB, names ...string) smartvpn.ListenerTLS {
	t.Helper()
	key := newKey(t)
	template := certificateTemplate(t, "server", names...)
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	ok(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	ok(t, err)
	return smartvpn.ListenerTLS{Certificate: pemText("CERTIFICATE", der),
		Key: smartvpn.Secret(pemText("PRIVATE KEY", keyDER))}
}

// dial shakes hands as Go's own client does: chain, dates and name are verified.
func (a *authority) dial(t testing.TB, address, name string, protocols ...string) *tls.Conn {
	t.Helper()
	peer := tls.Client(connect(t, address), &tls.Config{RootCAs: a.pool, ServerName: name, NextProtos: protocols})
	ok(t, peer.Handshake())
	return peer
}

func isFor(t testing.TB, peer *tls.Conn, certificate smartvpn.ListenerTLS) {
	t.Helper()
	wanted, _ := pem.Decode([]byte(certificate.Certificate))
	if got := peer.ConnectionState().PeerCertificates[0]; !bytes.Equal(got.Raw, wanted.Bytes) {
		t.Fatalf("another certificate: %v", got.DNSNames)
	}
}

// asksMuch sends and reads at the same time, more than all buffers on the way hold.
func asksMuch(t testing.TB, peer net.Conn) {
	t.Helper()
	question := make([]byte, 8<<20)
	_, err := rand.Read(question)
	ok(t, err)
	sent := make(chan error, 1)
	go func() {
		_, err := peer.Write(question)
		sent <- err
	}()
	answer := make([]byte, len(question))
	_, err = io.ReadFull(peer, answer)
	ok(t, err)
	ok(t, <-sent)
	if !bytes.Equal(question, answer) {
		t.Fatal("it comes back changed")
	}
}

// newTLSTarget sends everything back, and tells what each handshake has agreed on.
func newTLSTarget(t testing.TB, shown smartvpn.ListenerTLS, protocols ...string) (int, <-chan tls.ConnectionState) {
	t.Helper()
	pair, err := tls.X509KeyPair([]byte(shown.Certificate), []byte(shown.Key))
	ok(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	t.Cleanup(func() { listener.Close() })
	states := make(chan tls.ConnectionState, 16)
	go func() {
		for {
			plain, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer plain.Close()
				_ = plain.SetDeadline(time.Now().Add(patience))
				peer := tls.Server(plain, &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: protocols})
				if peer.Handshake() != nil {
					return
				}
				states <- peer.ConnectionState()
				_, _ = io.Copy(peer, peer)
				_ = peer.Close()
			}()
		}
	}()
	return listener.Addr().(*net.TCPAddr).Port, states
}
