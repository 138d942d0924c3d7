#!/usr/bin/env bash
# Installs Debian packages whose files are missing (root): hack/packages.sh WHAT:PACKAGE...
# WHAT is a command, or the absolute path of a file.
set -euo pipefail

missing=()
for pair in "$@"; do
	what=${pair%%:*}
	command -v "$what" >/dev/null || [[ -e $what ]] || missing+=("${pair##*:}")
done
((${#missing[@]})) || exit 0
if ! command -v apt-get >/dev/null; then
	echo "packages: ${missing[*]} must be installed, and there is no apt-get" >&2
	exit 1
fi
echo "packages: installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
