// The headers of primitives.cpp, parsed by Go's pires/go-proxyproto: what a VPN server in Go would use.
// GO111MODULE=off, GOPATH with the package; prints lines as figures.hpp does.
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"net"
	"testing"

	proxyproto "github.com/pires/go-proxyproto"
)

func header(version byte, tlvs []proxyproto.TLV) []byte {
	h := proxyproto.Header{
		Version: version, Command: proxyproto.PROXY, TransportProtocol: proxyproto.TCPv4,
		SourceAddr:      &net.TCPAddr{IP: net.IPv4(198, 51, 100, 7).To4(), Port: 54321},
		DestinationAddr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1).To4(), Port: 443},
	}
	if tlvs != nil {
		if err := h.SetTLVs(tlvs); err != nil {
			panic(err)
		}
	}
	out, err := h.Format()
	if err != nil {
		panic(err)
	}
	return out
}

func main() {
	testing.Init()
	flag.Parse()
	tlvs := []proxyproto.TLV{
		{Type: proxyproto.PP2_TYPE_AUTHORITY, Value: []byte("vpn.example.com")},
		{Type: proxyproto.PP2Type(0x05), Value: bytes.Repeat([]byte{0x42}, 16)},
		{Type: proxyproto.PP2Type(0xea), Value: bytes.Repeat([]byte{1}, 22)},
	}
	for _, c := range []struct {
		name  string
		bytes []byte
		tlvs  int
	}{{"v1", header(1, nil), 0}, {"v2", header(2, nil), 0}, {"v2_tlvs", header(2, tlvs), 3}} {
		source := bytes.NewReader(c.bytes)
		reader := bufio.NewReader(source)
		r := testing.Benchmark(func(b *testing.B) {
			for i := 0; i < b.N; i++ {
				source.Reset(c.bytes)
				reader.Reset(source)
				h, err := proxyproto.Read(reader)
				if err != nil {
					b.Fatal(err)
				}
				// Ours has the TLVs apart when it is done: so shall theirs.
				if c.tlvs > 0 {
					if got, err := h.TLVs(); err != nil || len(got) != c.tlvs {
						b.Fatal(err, len(got))
					}
				}
			}
		})
		fmt.Printf("go_proxy_header/%s\t%d\tns\n", c.name, r.NsPerOp())
	}
}
