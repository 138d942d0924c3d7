# What the scripts of the cluster share: names and addresses, bounded waits, processes.
# Sourced with the working directory at the root of the repository.
# shellcheck shell=bash disable=SC2034

export CLUSTER_DIR=${CLUSTER_DIR:-/var/tmp/bpfmap-cluster}
dir=$CLUSTER_DIR pki=$CLUSTER_DIR/pki logs=$CLUSTER_DIR/logs run=$CLUSTER_DIR/run
marker=$dir/.bpfmap-cluster # down.sh removes no folder without it
nodes=(node-1 node-2 node-3)
bridge=bpfmap0 network=10.55.0 services=10.96.0.0/16 service=10.96.0.1 pods=10.244
api=$network.1:6443
pause_image=localhost/pause:bpfmap
scope=bpfmap-cluster # the cgroup above all of ours

say() { printf 'cluster: %s\n' "$*" >&2; }
die() {
	say "$*"
	exit 1
}

# number NAME is the N of node-N; addresses are made of it.
number() {
	[[ $1 =~ ^node-([1-9])$ ]] || die "unknown node \"$1\" (want one of ${nodes[*]})"
	echo "${BASH_REMATCH[1]}"
}
address_of() { echo "$network.$((10 + $(number "$1")))"; }

# until_true SECONDS WHAT COMMAND... polls the command until it succeeds.
until_true() {
	local what=$2 deadline=$(($(date +%s) + $1))
	shift 2
	until "$@" >/dev/null 2>&1; do
		if (($(date +%s) >= deadline)); then
			say "gave up waiting: $what"
			return 1
		fi
		sleep 0.1
	done
}

# show_logs prints the last lines that matter: of programs that log at great length only the errors.
show_logs() {
	local log
	for log in "$logs"/*.log "$dir"/node-*/log-pods/*/*/*.log; do
		[[ -s $log ]] || continue
		printf -- '-- %s\n' "$log" >&2
		case $log in
		*/kube*) grep -v '^I' "$log" | tail -n "$1" | cut -c 1-240 >&2 || true ;;
		*) tail -n "$1" "$log" | cut -c 1-400 >&2 ;;
		esac
	done
}

# Every process is in a cgroup of ours, so that one of a killed run is found without trusting a pid.
# cgroup v1 has one tree for each controller, v2 a single one.
if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then
	cgroup_trees=(/sys/fs/cgroup)
	tracked=/sys/fs/cgroup/$scope
else
	cgroup_trees=()
	for tree in /sys/fs/cgroup/*/; do
		[[ -e $tree/cgroup.procs ]] && cgroup_trees+=("${tree%/}")
	done
	tracked=/sys/fs/cgroup/pids/$scope
fi

members() { # members CGROUP: the processes in it and below
	[[ -d $1 ]] || return 0
	find "$1" -name cgroup.procs -exec cat {} + 2>/dev/null || true
}
kill_members() {
	members "$1" | xargs -r kill -KILL 2>/dev/null || true
	until_true 10 "the processes of $1 end" no_members "$1"
}
no_members() { [[ -z $(members "$1") ]]; }

remove_cgroups() { # remove_cgroups PATH: PATH below every tree
	local tree
	for tree in "${cgroup_trees[@]}"; do
		[[ -d $tree/$1 ]] || continue
		find "$tree/$1" -depth -type d -exec rmdir {} + 2>/dev/null || true
	done
}

# start PART COMMAND... runs a process in the background, in its own session and cgroup.
start() {
	local part=$1 group=$tracked/parts/$1
	shift
	mkdir -p "$group" "$run"
	# shellcheck disable=SC2016
	setsid bash -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$group" "$@" >>"$logs/$part.log" 2>&1 </dev/null &
	echo $! >"$run/$part.pid"
	until_true 5 "$part starts" runs "$part"
}

pid_of() { cat "$run/$1.pid" 2>/dev/null; }
# runs PART: its process is there and is ours; the number alone could be somebody else's by now.
runs() {
	local pid
	pid=$(pid_of "$1") || return 1
	grep -qx "$pid" "$tracked/parts/$1/cgroup.procs" 2>/dev/null
}
ended() { ! runs "$1"; }

# stop PART [SIGNAL] ends its process, not what that left running; SIGKILL if it takes too long.
stop() {
	runs "$1" || return 0
	kill -"${2:-TERM}" "$(pid_of "$1")" 2>/dev/null || true
	until_true 5 "$1 ends" ended "$1" 2>/dev/null && return 0
	kill -KILL "$(pid_of "$1")" 2>/dev/null || true
	until_true 5 "$1 ends after SIGKILL" ended "$1"
}

kubectl() { command kubectl --kubeconfig "$dir/admin.kubeconfig" --request-timeout=10s "$@"; }
