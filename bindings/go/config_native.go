// From the structs to the library's own configuration, which checks every key.

package smartvpn

// #include <smartvpn.h>
import "C"

import (
	"bytes"
	"encoding/json"
	"reflect"
	"sort"
	"strings"
)

const (
	serverKind = C.SMARTVPN_CONFIG_SERVER
	tunnelKind = C.SMARTVPN_CONFIG_TUNNEL
	relayKind  = C.SMARTVPN_CONFIG_RELAY
)

// source is Config, TunnelConfig or RelayConfig.
type source interface {
	parts() (kind C.smartvpn_config_kind, raw json.RawMessage, set map[string]interface{}, fields interface{})
}

func (c Config) parts() (C.smartvpn_config_kind, json.RawMessage, map[string]interface{}, interface{}) {
	fields := c
	fields.Raw, fields.Set = nil, nil
	return serverKind, c.Raw, c.Set, fields
}

func (c TunnelConfig) parts() (C.smartvpn_config_kind, json.RawMessage, map[string]interface{}, interface{}) {
	fields := c
	fields.Raw, fields.Set = nil, nil
	return tunnelKind, c.Raw, c.Set, fields
}

func (c RelayConfig) parts() (C.smartvpn_config_kind, json.RawMessage, map[string]interface{}, interface{}) {
	fields := c
	fields.Raw, fields.Set = nil, nil
	return relayKind, c.Raw, c.Set, fields
}

// withNative makes a library's configuration of `from`, hands it to `use` and frees it.
func withNative(op string, from source, use func(*C.smartvpn_config) error) error {
	kind, data, set, fields := from.parts()
	if data != nil {
		if !reflect.ValueOf(fields).IsZero() {
			return invalid(op, "", "a configuration has either Raw or fields")
		}
	} else {
		var err error
		if data, err = encode(op, fields); err != nil {
			return err
		}
		defer wipe(data)
	}
	var native *C.smartvpn_config
	var failed *C.smartvpn_error
	text, length := cBytes(data)
	if err := failure(op, C.smartvpn_config_from_json(kind, text, length, &native, &failed), &failed); err != nil {
		return err
	}
	defer C.smartvpn_config_free(native)
	if err := applySet(op, native, set); err != nil {
		return err
	}
	return use(native)
}

// applySet sets keys in order of their pointers, so that the result does not depend on the map's.
func applySet(op string, native *C.smartvpn_config, set map[string]interface{}) error {
	pointers := make([]string, 0, len(set))
	for pointer := range set {
		pointers = append(pointers, pointer)
	}
	sort.Strings(pointers)
	for _, pointer := range pointers {
		data, err := encode(op, set[pointer])
		if err != nil {
			return err
		}
		where, err := cText(op, "pointer", pointer)
		if err != nil {
			return err
		}
		var failed *C.smartvpn_error
		text, length := cBytes(data)
		err = failure(op, C.smartvpn_config_set(native, where, text, length, &failed), &failed)
		freeText(where)
		if err != nil {
			return err
		}
	}
	return nil
}

func validate(from source) error {
	const op = "validate"
	return withNative(op, from, func(native *C.smartvpn_config) error {
		var failed *C.smartvpn_error
		return failure(op, C.smartvpn_config_validate(native, &failed), &failed)
	})
}

func configJSON(from source, withSecrets bool) (out []byte, err error) {
	const op = "config to JSON"
	secrets := C.int32_t(0)
	if withSecrets {
		secrets = 1
	}
	err = withNative(op, from, func(native *C.smartvpn_config) (err error) {
		out, err = readText(op, func(buf *C.char, size C.size_t, needed *C.size_t, failed **C.smartvpn_error) C.smartvpn_status {
			return C.smartvpn_config_to_json(native, secrets, buf, size, needed, failed)
		})
		return err
	})
	return out, err
}

// parseConfig lets the library judge the JSON first, whose errors have paths, and then fills the struct.
func parseConfig(op string, kind C.smartvpn_config_kind, data []byte, into interface{}) error {
	var native *C.smartvpn_config
	var failed *C.smartvpn_error
	if data == nil {
		data = []byte{}
	}
	text, length := cBytes(data)
	if err := failure(op, C.smartvpn_config_from_json(kind, text, length, &native, &failed), &failed); err != nil {
		return err
	}
	C.smartvpn_config_free(native)
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		if !strings.Contains(err.Error(), "unknown field") {
			return &Error{Op: op, Status: ErrInvalid, cause: err, Text: "it cannot be read into the struct"}
		}
		return &Error{Op: op, Status: ErrUnsupported, cause: err,
			Text: "the library knows a key that this package does not: use Raw"}
	}
	return nil
}
