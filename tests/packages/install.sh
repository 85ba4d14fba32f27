#!/bin/sh
# install.sh: in a root of its own (own_root.sh), with the packages and the sources of programs in /inside. Installs
# the packages, uses everything that is in them, removes and purges them, and looks at what is left.
set -eux
cd /inside
# (Under `set -e` a `!` before a command would let it do what it likes.)
absent() { if grep "$@"; then exit 1; fi; }
fails() { if "$@"; then exit 1; fi; }
names=$(for file in *.deb; do dpkg-deb -f "$file" Package; done)
while read -r name; do echo "$names" | grep -qx "$name"; done < expected
cp -a /etc /tmp/etc_before

dpkg -i ./*.deb
dpkg -i ./*.deb # an upgrade
[ -z "$(dpkg --verify $names)" ]
for name in $names; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$name")" = installed ]
  test -s /usr/share/doc/"$name"/copyright
done

# The command.
ldd /usr/bin/smartvpn | absent 'not found'
ldd /usr/bin/smartvpn | grep -q "libsmartvpn.so.1 => /lib/.*-linux-gnu/"
readelf -d /usr/bin/smartvpn | absent -E 'RPATH|RUNPATH'
smartvpn --version | grep -x "smartvpn $(dpkg-query -W -f='${Version}' smartvpn | sed 's/-.*//')"
zcat /usr/share/man/man1/smartvpn.1.gz | grep -q '^\.TH SMARTVPN 1'
bash -c '. /usr/share/bash-completion/completions/smartvpn && complete -p smartvpn'
test -s /usr/share/zsh/vendor-completions/_smartvpn
test -s /usr/share/fish/vendor_completions.d/smartvpn.fish

# The service: its user and folder are there, the units are right, nothing is enabled.
systemd-analyze verify smartvpn.service smartvpn.socket > /tmp/verify 2>&1
absent -i smartvpn /tmp/verify
find /etc/systemd -name 'smartvpn*' | absent .
[ "$(stat -c '%a %U %G' /etc/smartvpn)" = '750 root smartvpn' ]
key=$(smartvpn keygen | sed -n 's/^private key: *//p')
sed "s|replace this with[^\"]*|$key|" /usr/share/doc/smartvpn/examples/server.json.example > /etc/smartvpn/server.json
chgrp smartvpn /etc/smartvpn/server.json
chmod 640 /etc/smartvpn/server.json
runuser -u smartvpn -- smartvpn check --config /etc/smartvpn/server.json
install -d -o smartvpn -m 700 /var/lib/smartvpn
runuser -u smartvpn -- touch /var/lib/smartvpn/clients.db

# A program of the README's, by its own line; and by CMake, wherever PATH begins.
mkdir /tmp/build
cd /tmp/build
cp /inside/minimal.c .
line=$(sed -n '1s|^/\* \(cc .*\) \*/$|\1|p' minimal.c)
timeout 3 sh -ec "$line" > minimal.out || true
grep -q '"type":"listening"' minimal.out
[ "$(echo $(pkg-config --cflags --libs smartvpn))" = -lsmartvpn ]
for path in "$PATH" /bin:/usr/bin; do
  PATH=$path cmake -S /inside/consumer -B cmake > /dev/null
  PATH=$path cmake --build cmake > /dev/null
  ./cmake/shared
  ./cmake/static
  rm -r cmake
done
cc /inside/consumer/consumer.c $(pkg-config --cflags --libs smartvpn-static) -o static
ldd static | absent libsmartvpn
./static
case $names in
*python3-smartvpn*)
  /usr/bin/python3 -c 'import smartvpn, smartvpn._native as native; print(native.__file__, native.version())' > python.out
  grep -q "/usr/lib/python3/dist-packages/smartvpn/_native.* $(smartvpn --version | cut -d' ' -f2)\$" python.out
  /usr/bin/python3 -c 'import importlib.metadata as m; print(m.version("smartvpn"))' | grep -x "[0-9.]*"
  ;;
esac

# The shared library asks for nobody's headers.
sh /inside/forget_dev_packages.sh
cc -Wall -Werror minimal.c $(pkg-config --cflags --libs smartvpn) -o again
cmake -S /inside/consumer -B cmake > /dev/null
cmake --build cmake --target shared > /dev/null
./cmake/shared

# Removed: the configuration stays. Purged: nothing does.
dpkg -r $names
test -s /etc/smartvpn/server.json
fails test -e /usr/bin/smartvpn
dpkg -P $names
fails dpkg-query -W $names
diff -r --no-dereference /tmp/etc_before /etc -x '*-' -x ld.so.cache
# Nothing of ours in what changed; a name that was taken away is a device 0:0 there, and no file.
find /changed \( -name '*smartvpn*' -o -path '*smartvpn*' \) ! -type c ! -path '/changed/var/log/*' ! -path '/changed/var/cache/man/*' > /tmp/left
cat /tmp/left
[ ! -s /tmp/left ]
ldconfig -p | absent smartvpn
