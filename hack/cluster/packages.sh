#!/usr/bin/env bash
# Installs the Debian packages that the cluster's nodes are made of, where their commands lack (root).
set -euo pipefail

# Packages by the command that each one brings.
missing=()
for pair in ip:iproute2 iptables:iptables conntrack:conntrack openssl:openssl nsenter:util-linux \
	containerd:containerd runc:runc buildah:buildah bpftool:bpftool; do
	command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
[[ -x /usr/lib/cni/host-local || -x /opt/cni/bin/host-local ]] || missing+=(containernetworking-plugins)
((${#missing[@]})) || exit 0
if ! command -v apt-get >/dev/null; then
	echo "cluster: lacks ${missing[*]}, and there is no apt-get to install them" >&2
	exit 1
fi
echo "cluster: installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
