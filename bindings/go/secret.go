// What keeps secrets out of logs: fmt prints configurations without them.

package smartvpn

import (
	"encoding/json"
	"fmt"
)

// Secret is a text that fmt does not print. string(secret) is the text.
type Secret string

// String keeps it out of logs.
func (Secret) String() string { return "(secret)" }

// GoString keeps it out of logs.
func (Secret) GoString() string { return "(secret)" }

func masked(raw json.RawMessage, set map[string]interface{}) (json.RawMessage, map[string]interface{}) {
	if raw != nil {
		raw = json.RawMessage{}
	}
	var out map[string]interface{}
	for key := range set {
		if out == nil {
			out = make(map[string]interface{}, len(set))
		}
		out[key] = Secret("")
	}
	return raw, out
}

// String gives the configuration without secrets; of Raw nothing, and of Set the keys.
func (c Config) String() string {
	type plain Config
	c.Raw, c.Set = masked(c.Raw, c.Set)
	return fmt.Sprintf("%+v", plain(c))
}

// GoString is String.
func (c Config) GoString() string { return c.String() }

// String gives the configuration without secrets; of Raw nothing, and of Set the keys.
func (c TunnelConfig) String() string {
	type plain TunnelConfig
	c.Raw, c.Set = masked(c.Raw, c.Set)
	return fmt.Sprintf("%+v", plain(c))
}

// GoString is String.
func (c TunnelConfig) GoString() string { return c.String() }

// String gives the configuration without secrets; of Raw nothing, and of Set the keys.
func (c RelayConfig) String() string {
	type plain RelayConfig
	c.Raw, c.Set = masked(c.Raw, c.Set)
	return fmt.Sprintf("%+v", plain(c))
}

// GoString is String.
func (c RelayConfig) GoString() string { return c.String() }
