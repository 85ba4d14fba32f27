#!/bin/sh
# go.sh NAME WORK: one of the tests of the Go package, run in the repository's root. Nothing comes from a network.
set -eu
export GOFLAGS=-mod=mod GOPROXY=off GOTOOLCHAIN=local GOWORK=off CGO_ENABLED=1 GODEBUG=cgocheck=1,invalidptr=1
mkdir -p "$2"

case "$1" in
  test)
    cd bindings/go
    go test -race -count=1 ./...
    ;;
  vet)
    bad=$(gofmt -l bindings/go examples/go tests/go)
    [ -z "$bad" ] || { echo "not formatted: $bad"; exit 1; }
    for module in bindings/go examples/go/embed tests/go/example tests/go/prometheus; do
      (cd "$module" && go vet ./...)
    done
    ;;
  static)
    cd bindings/go
    go test -c -tags smartvpn_static -o "$2/static.test" .
    if readelf -d "$2/static.test" | grep libsmartvpn; then echo "it needs the shared library"; exit 1; fi
    readelf -d "$2/static.test" | grep -q libuv || { echo "readelf shows no libraries"; exit 1; }
    LD_LIBRARY_PATH='' "$2/static.test" -test.run 'PacketsGoBothWays|GoesThroughItsStates'
    ;;
  example)
    cd tests/go/example
    GOFLAGS= go test -count=1 .
    ;;
  prometheus)
    cd tests/go/prometheus
    go test -count=1 .
    ;;
esac
