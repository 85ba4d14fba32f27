// What a new client takes away, rotations of keys, and changes that belong together.

package smartvpn

// #include <smartvpn.h>
import "C"

import (
	"runtime"
	"time"
)

// Credentials are what a client needs to connect. They hold private keys, which fmt does not print; Go cannot wipe
// them, so let go of them soon.
type Credentials struct {
	Client              Client
	PrivateKey          string // base64; "" if you brought the public key
	Config              string // JSON for the other end, see TunnelConfig
	WireGuardPrivateKey string // base64; "" if there is none or you brought the public key
	WireGuardConfig     string // for wg-quick and every WireGuard app; "" without a WireGuard key
}

// TunnelConfig gives the configuration with which the client reaches this server.
func (c *Credentials) TunnelConfig() (TunnelConfig, error) {
	if c == nil {
		return TunnelConfig{}, invalid("tunnel config", "", "the credentials are nil")
	}
	return ParseTunnelConfig([]byte(c.Config))
}

// String keeps private keys out of logs.
func (c Credentials) String() string { return "credentials of " + c.Client.ID }

// GoString keeps private keys out of logs.
func (c Credentials) GoString() string { return c.String() }

// String keeps private keys out of logs.
func (Keys) String() string { return "(keys)" }

// GoString keeps private keys out of logs.
func (Keys) GoString() string { return "(keys)" }

// String keeps private keys out of logs.
func (TunnelKeys) String() string { return "(keys)" }

// GoString keeps private keys out of logs.
func (TunnelKeys) GoString() string { return "(keys)" }

// takeCredentials copies and frees.
func takeCredentials(op string, native *C.smartvpn_credentials) (*Credentials, error) {
	defer C.smartvpn_credentials_free(native)
	out := &Credentials{
		PrivateKey:          C.GoString(C.smartvpn_credentials_private_key(native)),
		Config:              C.GoString(C.smartvpn_credentials_config(native)),
		WireGuardPrivateKey: C.GoString(C.smartvpn_credentials_wireguard_private_key(native)),
		WireGuardConfig:     C.GoString(C.smartvpn_credentials_wireguard_config(native)),
	}
	return out, decode(op, []byte(C.GoString(C.smartvpn_credentials_client(native))), &out.Client)
}

// RotateOptions are about new keys of a client.
type RotateOptions struct {
	Overlap            *time.Duration // whole seconds, at most 30 days; nil: a day
	NoisePublicKey     string         // "": one is made
	WireGuardPublicKey string         // "": one is made, if the client has one
}

// Rotate gives a client new keys. For the overlap the server takes the old ones too; the event ClientChanged says
// "rotation_seen" when the client first comes with the new one. ErrBadState while an earlier rotation overlaps.
func (c Clients) Rotate(id string, options RotateOptions) (*Credentials, error) {
	const op = "rotate client"
	wish := map[string]interface{}{}
	if options.Overlap != nil {
		if *options.Overlap < 0 || *options.Overlap%time.Second != 0 {
			return nil, invalid(op, "/overlap_seconds", "the overlap is negative or has a fraction of a second")
		}
		wish["overlap_seconds"] = int64(*options.Overlap / time.Second)
	}
	if options.NoisePublicKey != "" {
		wish["noise_public_key"] = options.NoisePublicKey
	}
	if options.WireGuardPublicKey != "" {
		wish["wireguard_public_key"] = options.WireGuardPublicKey
	}
	data, err := encode(op, wish)
	if err != nil {
		return nil, err
	}
	var native *C.smartvpn_credentials
	err = c.withID(op, id, func(name *C.char, failed **C.smartvpn_error) C.smartvpn_status {
		text, length := cBytes(data)
		return C.smartvpn_client_rotate(c.server.native(), name, text, length, &native, failed)
	})
	if err != nil {
		return nil, err
	}
	return takeCredentials(op, native)
}

// RotateCommit ends the overlap now: the old keys are gone. ErrBadState if no rotation overlaps.
func (c Clients) RotateCommit(id string) error {
	return c.withID("commit rotation", id, func(name *C.char, failed **C.smartvpn_error) C.smartvpn_status {
		return C.smartvpn_client_rotate_commit(c.server.native(), name, failed)
	})
}

// RotateRollBack goes back to the old keys: the new ones are gone. ErrBadState if no rotation overlaps.
func (c Clients) RotateRollBack(id string) error {
	return c.withID("roll rotation back", id, func(name *C.char, failed **C.smartvpn_error) C.smartvpn_status {
		return C.smartvpn_client_rotate_roll_back(c.server.native(), name, failed)
	})
}

// Tx notes changes that will happen at one moment, or not at all. At most 10000; from one goroutine at a time.
type Tx struct {
	handle   *C.smartvpn_transaction
	expected uint64
	creates  []int // indexes of the changes that create
	count    int
}

// TxResult is what a transaction has brought.
type TxResult struct {
	Revision    uint64         // the registry's new one
	Credentials []*Credentials // of each Create, in their order
}

// Expect makes the transaction answer ErrConflict unless this is the registry's revision at commit.
func (t *Tx) Expect(revision uint64) {
	if t != nil {
		t.expected = revision
	}
}

// Create notes a new client. What is wrong with it in itself is said here, the rest at commit.
func (t *Tx) Create(spec ClientSpec) error {
	const op = "transaction: create client"
	if t == nil {
		return closedError(op)
	}
	data, err := encode(op, spec)
	if err != nil {
		return err
	}
	var failed *C.smartvpn_error
	text, length := cBytes(data)
	if err := failure(op, C.smartvpn_transaction_create(t.handle, text, length, &failed), &failed); err != nil {
		return err
	}
	t.creates = append(t.creates, t.count)
	t.count++
	return nil
}

// Update notes a change of a client.
func (t *Tx) Update(id string, patch Patch) error {
	const op = "transaction: update client"
	data, err := encode(op, patch)
	if err != nil {
		return err
	}
	return t.note(op, id, func(name *C.char, failed **C.smartvpn_error) C.smartvpn_status {
		text, length := cBytes(data)
		return C.smartvpn_transaction_update(t.handle, name, text, length, failed)
	})
}

// Remove notes the removal of a client.
func (t *Tx) Remove(id string) error {
	return t.note("transaction: remove client", id, func(name *C.char, failed **C.smartvpn_error) C.smartvpn_status {
		return C.smartvpn_transaction_remove(t.handle, name, failed)
	})
}

func (t *Tx) note(op, id string, call func(*C.char, **C.smartvpn_error) C.smartvpn_status) error {
	if t == nil {
		return closedError(op)
	}
	if err := (Clients{}).withID(op, id, call); err != nil {
		return err
	}
	t.count++
	return nil
}

// Transaction calls `fn`, which notes changes, and makes them all at one moment with one acknowledgement of the
// store. None happens when fn gives an error, which is then Transaction's, or panics. The path of an error of the
// commit begins with the change's index: "/2/addresses/0".
func (c Clients) Transaction(fn func(tx *Tx) error) (TxResult, error) {
	const op = "transaction"
	var out TxResult
	tx := &Tx{}
	var failed *C.smartvpn_error
	if err := failure(op, C.smartvpn_transaction_begin(c.server.native(), &tx.handle, &failed), &failed); err != nil {
		return out, err
	}
	defer func() { C.smartvpn_transaction_free(tx.handle) }()
	if err := fn(tx); err != nil {
		return out, err
	}
	var revision C.uint64_t
	status := C.smartvpn_transaction_commit(tx.handle, C.uint64_t(tx.expected), &revision, &failed)
	if err := failure(op, status, &failed); err != nil {
		return out, err
	}
	runtime.KeepAlive(c.server)
	out.Revision = uint64(revision)
	for _, index := range tx.creates {
		var native *C.smartvpn_credentials
		status := C.smartvpn_transaction_credentials(tx.handle, C.size_t(index), &native, &failed)
		if err := failure(op, status, &failed); err != nil {
			return out, err
		}
		credentials, err := takeCredentials(op, native)
		if err != nil {
			return out, err
		}
		out.Credentials = append(out.Credentials, credentials)
	}
	return out, nil
}
