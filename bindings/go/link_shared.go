//go:build !smartvpn_static

package smartvpn

// #cgo pkg-config: smartvpn
import "C"
