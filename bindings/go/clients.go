// The registry: who may connect.

package smartvpn

// #include <smartvpn.h>
import "C"

// Clients is a server's registry. Everything is acknowledged when the registry's store has it, and has acted on live
// sessions by then. ErrBadState before Start and after Stop.
type Clients struct{ server *Server }

// Clients gives the server's registry.
func (s *Server) Clients() Clients { return Clients{s} }

// Client is a client as the registry has it: every key but secrets.
type Client struct {
	ClientSpec
	Revision uint64    `json:"revision"`
	Rotation *Rotation `json:"rotation,omitempty"` // while a rotation overlaps
}

// Rotation is the overlap of a client's old and new keys.
type Rotation struct {
	PreviousNoisePublicKey     string `json:"previous_noise_public_key"`
	PreviousWireGuardPublicKey string `json:"previous_wireguard_public_key"`
	Until                      Time   `json:"until"`
	Seen                       bool   `json:"seen"` // the client has come with its new key
}

// Patch is a change of a client: JSON keys to values; nil brings the default back, lists are replaced whole
// (RFC 7396).
type Patch map[string]interface{}

// Query asks for a page of clients. Zero fields do not matter.
type Query struct {
	After    string `json:"after,omitempty"` // begin behind this id
	Limit    int    `json:"limit,omitempty"` // 1..1000; 100
	IDPrefix string `json:"id_prefix,omitempty"`
	Tag      string `json:"tag,omitempty"`
	Enabled  *bool  `json:"enabled,omitempty"`
	Online   *bool  `json:"online,omitempty"`
	Text     string `json:"text,omitempty"` // in id, description and tags
}

// Page is an answer to a Query.
type Page struct {
	Clients  []Client `json:"clients"`
	Next     string   `json:"next"` // for Query.After; "" on the last page
	Matches  uint64   `json:"matches"`
	Revision uint64   `json:"revision"`
}

// ClientStats is a client's traffic since the server started, over all its sessions.
type ClientStats struct {
	ClientID      string `json:"client_id"`
	SessionsNow   uint64 `json:"sessions_now"`
	SessionsTotal uint64 `json:"sessions_total"`
	LastSeen      Time   `json:"last_seen"` // zero: never
	Traffic
	Quality
}

// ExportFormat is the form of an exported configuration.
type ExportFormat int32

// The forms of exports.
const (
	ExportNative    ExportFormat = C.SMARTVPN_EXPORT_NATIVE    // JSON, see ParseTunnelConfig
	ExportWireGuard ExportFormat = C.SMARTVPN_EXPORT_WIREGUARD // wg-quick's .conf
)

// Create makes a client. Without public keys, key pairs are made, and this is the only time the private ones are to
// be had. ErrInvalid with a path into the client; ErrExists for an id, key, address or subnet that is taken.
func (c Clients) Create(spec ClientSpec) (*Credentials, error) {
	const op = "create client"
	data, err := encode(op, spec)
	if err != nil {
		return nil, err
	}
	var native *C.smartvpn_credentials
	var failed *C.smartvpn_error
	text, length := cBytes(data)
	status := C.smartvpn_client_create(c.server.native(), text, length, &native, &failed)
	if err := failure(op, status, &failed); err != nil {
		return nil, err
	}
	return takeCredentials(op, native)
}

// Get gives one client. ErrNotFound.
func (c Clients) Get(id string) (Client, error) {
	const op = "get client"
	var out Client
	return out, c.readOne(op, id, &out, func(name, buf *C.char, size C.size_t, needed *C.size_t, failed **C.smartvpn_error) C.smartvpn_status {
		return C.smartvpn_client_get(c.server.native(), name, buf, size, needed, failed)
	})
}

// List gives all clients, in order of id.
func (c Clients) List() ([]Client, error) {
	const op = "list clients"
	if c.server == nil {
		return nil, closedError(op)
	}
	data, err := c.server.clientsSize.read(op, func(buf *C.char, size C.size_t, needed *C.size_t, failed **C.smartvpn_error) C.smartvpn_status {
		return C.smartvpn_client_list(c.server.handle, buf, size, needed, failed)
	})
	if err != nil {
		return nil, err
	}
	var out []Client
	return out, decode(op, data, &out)
}

// Query gives a page of clients, in order of id.
func (c Clients) Query(query Query) (Page, error) {
	const op = "query clients"
	var out Page
	ask, err := encode(op, query)
	if err != nil {
		return out, err
	}
	text, length := cBytes(ask)
	data, err := readText(op, func(buf *C.char, size C.size_t, needed *C.size_t, failed **C.smartvpn_error) C.smartvpn_status {
		return C.smartvpn_client_query(c.server.native(), text, length, buf, size, needed, failed)
	})
	if err != nil {
		return out, err
	}
	return out, decode(op, data, &out)
}

// Update changes the keys that the patch names and no others; "id" cannot change. A revision other than 0 makes it
// answer ErrConflict unless that is the client's. ErrNotFound, ErrInvalid, ErrExists.
func (c Clients) Update(id string, patch Patch, expectedRevision uint64) error {
	const op = "update client"
	data, err := encode(op, patch)
	if err != nil {
		return err
	}
	return c.withID(op, id, func(name *C.char, failed **C.smartvpn_error) C.smartvpn_status {
		text, length := cBytes(data)
		return C.smartvpn_client_update(c.server.native(), name, text, length, C.uint64_t(expectedRevision), failed)
	})
}

// Enable lets a client connect.
func (c Clients) Enable(id string) error {
	return c.withID("enable client", id, func(name *C.char, failed **C.smartvpn_error) C.smartvpn_status {
		return C.smartvpn_client_enable(c.server.native(), name, failed)
	})
}

// Disable ends a client's sessions and lets it connect no more.
func (c Clients) Disable(id string) error {
	return c.withID("disable client", id, func(name *C.char, failed **C.smartvpn_error) C.smartvpn_status {
		return C.smartvpn_client_disable(c.server.native(), name, failed)
	})
}

// Remove ends a client's sessions and forgets it.
func (c Clients) Remove(id string) error {
	return c.withID("remove client", id, func(name *C.char, failed **C.smartvpn_error) C.smartvpn_status {
		return C.smartvpn_client_remove(c.server.native(), name, failed)
	})
}

// Export gives a client's configuration once more. Without Registry.KeepPrivateKeys the text is there with an empty
// private key, and so is an error: ErrSecretNotKept. ErrNotFound; ErrUnsupported for WireGuard where client or server
// has no WireGuard key.
func (c Clients) Export(id string, format ExportFormat) (string, error) {
	const op = "export client"
	name, err := cText(op, "id", id)
	if err != nil {
		return "", err
	}
	defer freeText(name)
	return readSecret(op, func(buf *C.char, size C.size_t, needed *C.size_t, failed **C.smartvpn_error) C.smartvpn_status {
		return C.smartvpn_client_export(c.server.native(), name, C.smartvpn_export(format), buf, size, needed, failed)
	})
}

// Stats gives a client's traffic since the server started. ErrNotFound.
func (c Clients) Stats(id string) (ClientStats, error) {
	const op = "client stats"
	var out ClientStats
	return out, c.readOne(op, id, &out, func(name, buf *C.char, size C.size_t, needed *C.size_t, failed **C.smartvpn_error) C.smartvpn_status {
		return C.smartvpn_client_stats(c.server.native(), name, buf, size, needed, failed)
	})
}

// Revision gives the registry's revision, which grows by one with every change.
func (c Clients) Revision() (uint64, error) {
	var revision C.uint64_t
	var failed *C.smartvpn_error
	err := failure("registry revision", C.smartvpn_registry_revision(c.server.native(), &revision, &failed), &failed)
	return uint64(revision), err
}

// withID makes a call that takes an id.
func (c Clients) withID(op, id string, call func(*C.char, **C.smartvpn_error) C.smartvpn_status) error {
	name, err := cText(op, "id", id)
	if err != nil {
		return err
	}
	defer freeText(name)
	var failed *C.smartvpn_error
	return failure(op, call(name, &failed), &failed)
}

// readOne makes a call that takes an id and writes a text.
func (c Clients) readOne(op, id string, into interface{},
	call func(name, buf *C.char, size C.size_t, needed *C.size_t, failed **C.smartvpn_error) C.smartvpn_status) error {
	name, err := cText(op, "id", id)
	if err != nil {
		return err
	}
	defer freeText(name)
	data, err := readText(op, func(buf *C.char, size C.size_t, needed *C.size_t, failed **C.smartvpn_error) C.smartvpn_status {
		return call(name, buf, size, needed, failed)
	})
	if err != nil {
		return err
	}
	return decode(op, data, into)
}
