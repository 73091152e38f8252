#!/bin/bash
# Makes the sample input in this folder by running the real programs: nginx, Apache, sshd, sudo, su,
# login, cron, dpkg, gcc, make, logrotate, rsyslog and a few tools that write files.
#
#   sudo tests/samples/make.sh            # writes into the folder of this script
#   sudo tests/samples/make.sh DIR        # writes into DIR
#
# Needs root, overlayfs, apt-get (Debian 12 or later) and the network for the packages. Nothing of the
# machine changes: all of it happens in a throw-away overlay of the root folder, in name spaces of its
# own. The traffic runs in a network name space that has nothing but a loopback device, which also
# holds a few addresses of the blocks reserved for documentation (RFC 5737, RFC 3849). The host is
# named `web-1` there and the clock's zone is UTC, so that nothing in the samples tells the machine.
#
# What it writes is listed in README.md. Times, process numbers and ports differ from run to run; the
# tests rely on neither.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(realpath -m "${1:-$here}")
[ "$(id -u)" = 0 ] || { echo "make.sh: needs root for the name spaces and the overlay" >&2; exit 1; }

scratch=$(mktemp -d /tmp/picket-samples.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$out" "$scratch/result"

# The first name space has the overlay and still the network, for apt-get; the second one, entered by
# `run` below, has only its loopback device.
unshare --mount --uts --pid --ipc --fork --propagation private bash -euo pipefail -s "$scratch" "$here/make" <<'OUTER'
scratch=$1; scripts=$2
mkdir "$scratch/layer" "$scratch/root"
mount -t tmpfs -o mode=755 layer "$scratch/layer"
mkdir "$scratch/layer/upper" "$scratch/layer/work"
mount -t overlay overlay -o "lowerdir=/,upperdir=$scratch/layer/upper,workdir=$scratch/layer/work" "$scratch/root"
root=$scratch/root
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 dev "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for node in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0 kmsg:1:11; do
  IFS=: read -r name major minor <<< "$node"
  mknod -m 666 "$root/dev/$name" c "$major" "$minor"
done
mount -t tmpfs -o mode=755 run "$root/run"
mkdir -p "$root/samples/result" "$root/samples/make"
mount --bind "$scratch/result" "$root/samples/result"
mount --bind "$scripts" "$root/samples/make"
hostname web-1
clean_env=(env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb)
chroot "$root" "${clean_env[@]}" /bin/bash -euo pipefail /samples/make/install.sh
unshare --net chroot "$root" "${clean_env[@]}" /bin/bash -euo pipefail /samples/make/run.sh
OUTER

rm -rf "$out/files"
cp -r --no-preserve=ownership "$scratch/result/." "$out/"
echo "make.sh: $(du -sb "$scratch/result" | cut -f1) bytes of samples in $out"
