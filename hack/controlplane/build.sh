#!/usr/bin/env bash
# Puts the programs of a real control plane into a cache folder, building from their Go modules what
# is not there yet, and prints that folder as its last and only line on stdout.
#
#   hack/controlplane/build.sh [PROGRAM...]    (default: etcd kube-apiserver kubectl helm)
#   hack/controlplane/build.sh --print-dir     (builds nothing)
#
# A whole cluster also needs kube-controller-manager, kube-scheduler and kubelet.
#
# The folder is ${XDG_CACHE_HOME:-$HOME/.cache}/bpfmap-operator/k8s-<version>; the version is that of
# k8s.io/kubernetes in the go.mod beside this script. A program that $KUBEBUILDER_ASSETS already has
# is not built. From cold caches the API server takes about ten minutes on two cores.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=$(awk '$1 == "k8s.io/kubernetes" { print $2; exit }' "$here/go.mod")
helm_version=$(awk '$1 == "helm.sh/helm/v3" { print $2; exit }' "$here/go.mod")
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/bpfmap-operator/k8s-$version

say() { printf 'control plane: %s\n' "$*" >&2; }

package_of() {
	case $1 in
	etcd) echo go.etcd.io/etcd/server/v3 ;;
	kube-apiserver | kube-controller-manager | kube-scheduler | kubectl | kubelet)
		echo "k8s.io/kubernetes/cmd/$1"
		;;
	helm) echo helm.sh/helm/v3/cmd/helm ;;
	*)
		say "unknown program \"$1\" (want etcd, helm or one of Kubernetes' own)"
		return 2
		;;
	esac
}

ldflags_of() {
	local number=${version#v} component=k8s.io/component-base/version helm=helm.sh/helm/v3
	local major=${number%%.*} minor=${number#*.}
	minor=${minor%%.*}
	case $1 in
	kube*)
		echo "-s -w -X $component.gitVersion=$version -X $component.gitMajor=$major -X $component.gitMinor=$minor"
		;;
	helm)
		echo "-s -w -X $helm/internal/version.version=$helm_version" \
			"-X $helm/pkg/chartutil.k8sVersionMajor=$major -X $helm/pkg/chartutil.k8sVersionMinor=$minor" \
			"-X $helm/pkg/lint/rules.k8sVersionMajor=$major -X $helm/pkg/lint/rules.k8sVersionMinor=$minor"
		;;
	*) echo "-s -w" ;;
	esac
}

clock() { printf '%d:%02d' $((SECONDS / 60)) $((SECONDS % 60)); }

# progress PROGRAM LOG PID [MOST] reports until PID ends. `go build -v` names each package as it is
# compiled, so the lines of the log are the packages so far.
progress() {
	local program=$1 log=$2 pid=$3 most=$4 last=$SECONDS every=15
	[[ -t 2 ]] && every=1
	while kill -0 "$pid" 2>/dev/null; do
		sleep 1
		((SECONDS - last >= every)) || continue
		last=$SECONDS
		local line
		line="building $program $(clock): $(grep -vc '^go: ' "$log" || true) packages compiled (at most $most)"
		if [[ -t 2 ]]; then
			printf '\r\033[Kcontrol plane: %s' "$line" >&2
		else
			say "$line"
		fi
	done
	[[ -t 2 ]] && printf '\r\033[K' >&2
	return 0
}

build() {
	local program=$1 package ldflags most log pid
	package=$(package_of "$program")
	ldflags=$(ldflags_of "$program")
	log=$work/$program.log
	SECONDS=0
	say "building $program from $package ..."
	most=$(cd "$here" && go list -deps "$package" 2>>"$log" | wc -l) || {
		cat "$log" >&2
		return 1
	}
	: >"$log"
	(cd "$here" && exec go build -v -buildvcs=false -ldflags "$ldflags" -o "$work/$program" "$package") >"$log" 2>&1 &
	pid=$!
	progress "$program" "$log" "$pid" "$most"
	if ! wait "$pid"; then
		say "building $program failed after $(clock):"
		grep -E '^(#|go: |.*\.go:[0-9]+:)|error|cannot' "$log" >&2 || tail -n 20 "$log" >&2
		return 1
	fi
	mv "$work/$program" "$cache/$program"
	say "built $program in $(clock)"
}

wanted=()
for argument in "$@"; do
	case $argument in
	--print-dir)
		echo "$cache"
		exit 0
		;;
	*)
		package_of "$argument" >/dev/null
		wanted+=("$argument")
		;;
	esac
done
((${#wanted[@]})) || wanted=(etcd kube-apiserver kubectl helm)

missing() {
	local program
	for program in "${wanted[@]}"; do
		[[ -n ${KUBEBUILDER_ASSETS:-} && -x $KUBEBUILDER_ASSETS/$program ]] && continue
		[[ -x $cache/$program ]] || echo "$program"
	done
}

if [[ -n $(missing) ]]; then
	export CGO_ENABLED=0 GOWORK=off GOFLAGS=-mod=readonly
	mkdir -p "$cache"
	exec 9>"$cache/.lock"
	flock -n 9 || { say "another build is running, waiting for it"; flock 9; }
	work=$(mktemp -d "$cache/.build.XXXXXX")
	trap 'jobs -p | xargs -r kill 2>/dev/null; rm -rf "$work"' EXIT
	trap 'exit 130' INT TERM
	# The API server and etcd come first: what waits for them can start soonest.
	for program in $(missing); do build "$program"; done
fi
echo "$cache"
