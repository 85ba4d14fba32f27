// Package smartvpn runs a VPN server, its dialling end, or a layer-4 relay, inside a Go program.
//
// A Server listens, keeps a registry of clients and forwards their packets; a Tunnel is the other end, in the
// client's program; a Relay hands TCP connections on to other servers, with the clients' real addresses. Three words:
// a client is an entry in the server's registry, a session is a live connection of a client, a tunnel is the dialling
// end.
//
// The work is done by the C library (smartvpn.h), on threads of its own. Rules that hold everywhere here:
//
//   - Every method may be called from any goroutine. Close while others wait is safe: they get ErrClosed.
//   - What waits takes a context. Waiting for packets, events and authorize requests holds no thread.
//   - Nothing of Go is called by the library's threads.
//   - Errors are *Error; errors.Is(err, smartvpn.ErrNotFound) and so on tell them apart.
//   - Close what you opened. Finalizers only catch what was forgotten before it was started; a server, tunnel or
//     relay that runs is never stopped by the garbage collector.
//   - nil and zero values answer ErrClosed.
//
// The package is built against the installed library through pkg-config: the shared one, or with the build tag
// smartvpn_static the archive.
package smartvpn
