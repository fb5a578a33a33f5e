#!/bin/sh
# Lays out the root file system of the image: the program, and the few files that it or its libraries read. The
# Dockerfile and build.py both call this, so that an image is the same however it was built.
#
#   deploy/image/root.sh BINARY FOLDER
set -eu
here=$(cd "$(dirname "$0")" && pwd)
binary=$1
root=$2
certificates=/etc/ssl/certs/ca-certificates.crt

if ! [ -s "$certificates" ]; then
    echo "image: $certificates is not here; install it, e.g. with: apt-get install ca-certificates" >&2
    exit 1
fi
# An image is empty: a program that needs shared libraries would not start in it.
if LC_ALL=C grep -q '/ld-linux' "$binary"; then
    echo "image: $binary is not static; build it with scripts/release.sh" >&2
    exit 1
fi

umask 022
mkdir -p "$root/bin" "$root/etc/otel-agent" "$root/etc/ssl/certs" "$root/tmp"
cp "$binary" "$root/otel-agent"
chmod 0755 "$root/otel-agent"
# `kubectl exec POD -- wget -O- http://localhost:13133` and `kubectl exec POD -- otel-agent validate ...`
ln -s /otel-agent "$root/bin/wget"
ln -s /otel-agent "$root/bin/otel-agent"
cp "$here/agent.yaml" "$root/etc/otel-agent/agent.yaml"
cp "$certificates" "$root/etc/ssl/certs/ca-certificates.crt"
printf 'root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\nnonroot:x:65532:\n' >"$root/etc/group"
# How names are found; Kubernetes mounts the files that this refers to.
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
chmod 0644 "$root"/etc/otel-agent/agent.yaml "$root"/etc/ssl/certs/ca-certificates.crt
chmod 1777 "$root/tmp"
