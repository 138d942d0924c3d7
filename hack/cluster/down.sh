#!/usr/bin/env bash
# Removes the cluster that up.sh made, whole or half, running or killed: processes, containers,
# cgroups, namespaces, the bridge, its state. Settings of the kernel become what they were.
#
#   hack/cluster/down.sh [--quiet]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
for file in lib controlplane node; do
	# shellcheck source=/dev/null
	source "hack/cluster/$file.sh"
done
[[ $(id -u) == 0 ]] || die "needs root"

SECONDS=0
for name in "${nodes[@]}"; do stop_node "$name"; done
stop_control_plane
kill_members "$tracked"
remove_cgroups "$scope"
remove_bridge
if [[ -e $dir/sysctls ]]; then
	sysctl --quiet --load="$dir/sysctls" || say "some settings of the kernel are not what they were: $dir/sysctls"
fi
if [[ -e $marker ]]; then rm -rf --one-file-system "${dir:?}"; fi
[[ ${1:-} == --quiet ]] || say "removed after $SECONDS s"
