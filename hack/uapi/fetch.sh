#!/usr/bin/env bash
# Copyright The bpfmap-operator Authors.
# SPDX-License-Identifier: Apache-2.0

# fetch.sh DIR fetches the newest linux-libc-dev of Debian's $UAPI_SUITE (sid) and leaves bpf.h, kernel (its
# release) and origin in DIR. Its package lists are its own: the machine's sources and lists stay as they are.
set -euo pipefail

suite=${UAPI_SUITE:-sid}
mirror=${UAPI_MIRROR:-http://deb.debian.org/debian}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
mkdir -p "$1"
dir=$(cd "$1" && pwd)

mkdir -p "$dir"/{lists,cache}/partial "$dir/cache/archives/partial"
echo "deb [signed-by=$keyring] $mirror $suite main" >"$dir/apt.list"
apt=(-qq -o "Dir::State::Lists=$dir/lists" -o "Dir::Etc::sourcelist=$dir/apt.list" -o Dir::Etc::sourceparts=-
	-o "Dir::Cache=$dir/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=3)
apt-get "${apt[@]}" update
rm -f "$dir"/linux-libc-dev_*.deb
(cd "$dir" && apt-get "${apt[@]}" download linux-libc-dev)
deb=$(ls "$dir"/linux-libc-dev_*.deb)
rm -rf "$dir/files"
dpkg-deb -x "$deb" "$dir/files"
cp "$dir/files/usr/include/linux/bpf.h" "$dir/bpf.h"
awk '/VERSION_MAJOR/ { a = $3 } /VERSION_PATCHLEVEL/ { b = $3 } /VERSION_SUBLEVEL/ { c = $3 } END { print a "." b "." c }' \
	"$dir/files/usr/include/linux/version.h" >"$dir/kernel"
echo "include/uapi/linux/bpf.h in linux-libc-dev $(dpkg-deb -f "$deb" Version) of Debian $suite" >"$dir/origin"
