#!/usr/bin/env bash
# Installs the Debian packages that the cluster's nodes are made of, where they lack (root).
set -euo pipefail

plugin=/opt/cni/bin/host-local
[[ -e $plugin ]] || plugin=/usr/lib/cni/host-local
exec "$(dirname "${BASH_SOURCE[0]}")/../packages.sh" ip:iproute2 iptables:iptables conntrack:conntrack openssl:openssl \
	nsenter:util-linux containerd:containerd runc:runc buildah:buildah bpftool:bpftool "$plugin:containernetworking-plugins"
