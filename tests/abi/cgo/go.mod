module smartvpn.test/cgo

go 1.21
