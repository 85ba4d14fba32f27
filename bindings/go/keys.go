// Keys, QR codes, and what the library is.

package smartvpn

// #include <smartvpn.h>
// #include <stdlib.h>
import "C"

import "unsafe"

// Version is the version of the library that runs, such as "0.1.0".
func Version() string { return C.GoString(C.smartvpn_version()) }

// Has says whether the library that runs has a feature, such as "quic"; smartvpn.h, section 2, lists the names.
func Has(feature string) bool {
	name, err := cText("has", "feature", feature)
	if err != nil {
		return false
	}
	defer freeText(name)
	return C.smartvpn_has(name) == 1
}

// GenerateKey makes an X25519 private key, 44 characters of base64.
func GenerateKey() (string, error) {
	return readSecret("generate key", func(buf *C.char, size C.size_t, needed *C.size_t, failed **C.smartvpn_error) C.smartvpn_status {
		return C.smartvpn_key_generate(buf, size, needed, failed)
	})
}

// PublicKey gives the public key of a private one. ErrInvalid if that is none.
func PublicKey(privateKey string) (string, error) {
	const op = "public key"
	text, err := cText(op, "key", privateKey)
	if err != nil {
		return "", err
	}
	defer func() {
		wipe(unsafe.Slice((*byte)(unsafe.Pointer(text)), len(privateKey)))
		freeText(text)
	}()
	return readSecret(op, func(buf *C.char, size C.size_t, needed *C.size_t, failed **C.smartvpn_error) C.smartvpn_status {
		return C.smartvpn_key_public(text, buf, size, needed, failed)
	})
}

// QRForm is the form of a QR code.
type QRForm int32

// The forms of QR codes.
const (
	QRMatrix QRForm = C.SMARTVPN_QR_MATRIX // lines of 0 and 1, one a module, without a border
	QRText   QRForm = C.SMARTVPN_QR_TEXT   // for a terminal
	QRPNG    QRForm = C.SMARTVPN_QR_PNG    // a PNG file
	QRSVG    QRForm = C.SMARTVPN_QR_SVG    // an SVG file
)

// QR gives a text, such as Credentials.WireGuardConfig, as a QR code. ErrLimit if it fits none (2953 bytes).
func QR(text string, form QRForm) ([]byte, error) {
	const op = "qr"
	data := []byte(text)
	defer wipe(data)
	from, length := cBytes(data)
	var needed C.size_t
	var failed *C.smartvpn_error
	size := C.size_t(64 << 10)
	for {
		buf := make([]byte, size)
		status := C.smartvpn_qr_encode(from, length, C.smartvpn_qr_form(form), (*C.char)(unsafe.Pointer(&buf[0])), size, &needed, &failed)
		err := failure(op, status, &failed)
		switch {
		case err == nil && form == QRPNG: // bytes without a NUL
			return buf[:needed], nil
		case err == nil:
			return buf[:needed-1], nil
		case Status(status) != ErrTooSmall:
			return nil, err
		}
		size = needed
	}
}
