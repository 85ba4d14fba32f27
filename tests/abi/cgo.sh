#!/bin/sh
# cgo.sh SOURCE WORK GO: builds the Go program through pkg-config, without a network, and runs it with cgo's pointer checks.
set -eu
mkdir -p "$2"
cd "$1"
GOFLAGS=-mod=mod GOPROXY=off GOTOOLCHAIN=local CGO_ENABLED=1 "$3" build -o "$2/program" .
GODEBUG=cgocheck=1,invalidptr=1 GOTRACEBACK=crash "$2/program"
