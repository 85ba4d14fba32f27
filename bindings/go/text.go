// Texts across the line to C, both ways.

package smartvpn

// #include <smartvpn.h>
// #include <stdlib.h>
import "C"

import (
	"encoding/json"
	"strings"
	"sync/atomic"
	"unsafe"
)

// cText copies a text to C, where it ends with a NUL; so one with a NUL inside is refused. Free it with freeText.
func cText(op, name, text string) (*C.char, error) {
	if strings.IndexByte(text, 0) >= 0 {
		return nil, invalid(op, "", "the "+name+" has a NUL inside")
	}
	return C.CString(text), nil
}

func freeText(text *C.char) { C.free(unsafe.Pointer(text)) }

// cBytes lends bytes to C for one call, as (json, json_len). NULL for nil.
func cBytes(data []byte) (*C.char, C.size_t) {
	if len(data) == 0 {
		if data == nil {
			return nil, 0
		}
		data = []byte{0} // an address for what has no bytes
		return (*C.char)(unsafe.Pointer(&data[0])), 0
	}
	return (*C.char)(unsafe.Pointer(&data[0])), C.size_t(len(data))
}

// textSize remembers how large an answer was last time, so that the next one is had at the first attempt.
type textSize struct{ last atomic.Int64 }

// textCall is one of the library's functions that write a text: (buf, cap, needed, err).
type textCall func(buf *C.char, size C.size_t, needed *C.size_t, err **C.smartvpn_error) C.smartvpn_status

// readText calls until the text fits; without its NUL. SECRET_NOT_KEPT comes with a text, and with an error.
func (size *textSize) read(op string, call textCall) ([]byte, error) {
	room := int(size.last.Load())
	if room < 1024 {
		room = 1024
	}
	for {
		var needed C.size_t
		var err *C.smartvpn_error
		buf := make([]byte, room)
		status := call((*C.char)(unsafe.Pointer(&buf[0])), C.size_t(room), &needed, &err)
		failed := failure(op, status, &err)
		switch Status(status) {
		case ErrTooSmall:
			wipe(buf)
			room = int(needed) + int(needed)/8
		case C.SMARTVPN_OK, ErrSecretNotKept:
			size.last.Store(int64(needed) + int64(needed)/8)
			return buf[:needed-1], failed
		default:
			return nil, failed
		}
	}
}

func readText(op string, call textCall) ([]byte, error) {
	var size textSize
	return size.read(op, call)
}

// readSecret is readText for what must not stay in memory longer than needed. The string it gives cannot be wiped.
func readSecret(op string, call textCall) (string, error) {
	buf, err := readText(op, call)
	out := string(buf)
	wipe(buf)
	return out, err
}

func wipe(buf []byte) {
	for i := range buf {
		buf[i] = 0
	}
}

// decode reads the library's own JSON, of which unknown keys are those of a later version.
func decode(op string, data []byte, into interface{}) error {
	if err := json.Unmarshal(data, into); err != nil {
		return &Error{Op: op, Status: ErrInternal, Text: "the library's answer cannot be read", cause: err}
	}
	return nil
}

// encode makes the JSON of an argument.
func encode(op string, value interface{}) ([]byte, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return nil, &Error{Op: op, Status: ErrInvalid, Text: "the argument cannot be written as JSON", cause: err}
	}
	return data, nil
}
