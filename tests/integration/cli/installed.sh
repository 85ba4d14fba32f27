#!/bin/sh
# installed.sh BUILD PREFIX: what `make install` gives besides the library: the command, which runs from there, its
# manual page, completions and units.
set -eu
rm -rf "$2"
for component in library command; do cmake --install "$1" --component "$component" --prefix "$2" >/dev/null; done
test "$("$2"/bin/smartvpn version | cut -d' ' -f1)" = smartvpn
grep -q '^\.TH SMARTVPN 1' "$2"/share/man/man1/smartvpn.1
"$2"/bin/smartvpn manual | cmp - "$2"/share/man/man1/smartvpn.1
bash -n "$2"/share/bash-completion/completions/smartvpn
grep -q '^#compdef smartvpn' "$2"/share/zsh/site-functions/_smartvpn
grep -q '^complete -c smartvpn' "$2"/share/fish/vendor_completions.d/smartvpn.fish
grep -q '^ExecStart=/.*/smartvpn serve ' "$2"/lib/systemd/system/smartvpn.service
grep -q '^FileDescriptorName=listener0' "$2"/lib/systemd/system/smartvpn.socket
grep -q '^u smartvpn ' "$2"/lib/sysusers.d/smartvpn.conf
