#!/bin/sh
# own_root.sh FOLDER COMMAND...: runs a command as root of a root file system of its own, in which it may install, remove
# and overwrite what it likes: an overlay over this machine's, held in memory and gone with its last process. FOLDER is
# /inside there, and what differs from the machine can be looked at in /changed. Needs root; ends with 77 without.
set -eu
folder=$(realpath "$1")
shift
if [ "$(id -u)" != 0 ] || ! unshare --mount --pid --fork true 2> /dev/null; then
  echo "skipped: needs root, and namespaces of its own"
  exit 77
fi
place=$(mktemp -d)
trap 'rmdir "$place"' EXIT
export place folder
unshare --mount --propagation private --pid --fork --kill-child sh -ec '
  mount -t tmpfs -o mode=755 own_root "$place"
  cd "$place"
  mkdir upper work root
  mount -t overlay -o lowerdir=/,upperdir=upper,workdir=work overlay root
  mkdir -p root/inside root/changed
  mount -t proc proc root/proc
  mount --rbind /dev root/dev
  mount -t tmpfs -o mode=755 run root/run
  mount -t tmpfs -o mode=1777 tmp root/tmp
  mount --bind "$folder" root/inside
  mount --bind upper root/changed
  exec chroot root env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
    DEBIAN_FRONTEND=noninteractive "$@"' own_root "$@"
