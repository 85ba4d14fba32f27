module smartvpn.test/prometheus

go 1.19

require (
	github.com/prometheus/client_golang v1.14.0
	github.com/smartvpn/smartvpn/bindings/go v0.0.0
)

replace github.com/smartvpn/smartvpn/bindings/go => ../../../bindings/go

// A stand-in with the few names the collector uses, so that the test needs no network. Against the real one:
//   go mod edit -dropreplace=github.com/prometheus/client_golang && go mod tidy && go test .
replace github.com/prometheus/client_golang => ./client_golang
