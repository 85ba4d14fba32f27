module github.com/smartvpn/smartvpn/bindings/go

go 1.19
