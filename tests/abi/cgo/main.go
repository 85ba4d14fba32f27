// The header through cgo: create, start, take one event, free.
package main

// #cgo pkg-config: smartvpn
// #include <smartvpn.h>
// #include <stdlib.h>
import "C"

import (
	"fmt"
	"runtime"
	"unsafe"
)

// must panics with the library's own words.
func must(status C.smartvpn_status, err *C.smartvpn_error) {
	if status != C.SMARTVPN_OK {
		panic(C.GoString(C.smartvpn_error_path(err)) + ": " + C.GoString(C.smartvpn_error_text(err)))
	}
}

func main() {
	var config *C.smartvpn_config
	var server *C.smartvpn_server
	var events *C.smartvpn_events
	var event *C.smartvpn_event
	var err *C.smartvpn_error
	var key [C.SMARTVPN_KEY_SIZE]C.char

	must(C.smartvpn_key_generate(&key[0], C.SMARTVPN_KEY_SIZE, nil, &err), err)
	json := C.CString(fmt.Sprintf(`{"listen": [{"transport": "websocket", "address": "127.0.0.1", "port": 0}],
		"keys": {"noise_private_key": "%s"}, "network": {"subnets": ["10.8.0.0/24"]},
		"forwarding": {"mode": "testing"}}`, C.GoString(&key[0])))
	defer C.free(unsafe.Pointer(json))
	must(C.smartvpn_config_from_json(C.SMARTVPN_CONFIG_SERVER, json, C.SMARTVPN_NUL_TERMINATED, &config, &err), err)
	must(C.smartvpn_server_create(config, &server, &err), err)
	must(C.smartvpn_events_open(server, C.SMARTVPN_EVENTS_ALL, 64, &events, &err), err)
	must(C.smartvpn_server_start(server, &err), err)
	must(C.smartvpn_events_next(events, 10000, &event, &err), err)
	runtime.GC() // handles are no addresses; the collector must not mind
	fmt.Println(C.GoString(C.smartvpn_event_json(event)))
	must(C.smartvpn_event_free(event), nil)
	must(C.smartvpn_server_free(server), nil)
	if C.smartvpn_server_free(server) != C.SMARTVPN_BAD_HANDLE {
		panic("freed twice")
	}
	must(C.smartvpn_events_free(events), nil)
	must(C.smartvpn_config_free(config), nil)
}
