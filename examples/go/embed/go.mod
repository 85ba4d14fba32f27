module github.com/smartvpn/smartvpn/examples/go/embed

go 1.19

require github.com/smartvpn/smartvpn/bindings/go v0.0.0

replace github.com/smartvpn/smartvpn/bindings/go => ../../../bindings/go
