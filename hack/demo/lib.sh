# Helpers of run.sh: headings, commands that show themselves, bounded waits, cleaning up.
# shellcheck shell=bash

: "${work:?is set by run.sh}" "${bpffs:?is set by run.sh}"

if [[ -t 1 ]]; then
	bold=$'\e[1;36m' dim=$'\e[2m' red=$'\e[1;31m' plain=$'\e[0m'
else
	bold='' dim='' red='' plain=''
fi

declare -A pids=() # of what start started, by name

section() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
say() { printf '%s\n' "$*"; }

# show COMMAND... prints the command as one would type it, and runs it.
show() {
	local line="$*"
	line=${line//$bpffs/\$BPFFS}
	printf '\n%s$ %s%s\n' "$dim" "$line" "$plain"
	"$@"
}

milliseconds() { echo $(($(date +%s%N) / 1000000)); }

# until_true SECONDS WHAT COMMAND... polls the command until it succeeds; a started process that ends
# meanwhile is a failure.
until_true() {
	local limit=$1 what=$2 start name
	shift 2
	start=$(milliseconds)
	until "$@" >/dev/null 2>&1; do
		if (($(milliseconds) - start > limit * 1000)); then
			say "gave up after ${limit}s: $what" >&2
			return 1
		fi
		for name in "${!pids[@]}"; do
			kill -0 "${pids[$name]}" 2>/dev/null && continue
			say "the $name ended while waiting: $what" >&2
			return 1
		done
		sleep 0.02
	done
}

# start NAME COMMAND... runs a process in the background, in a process group of its own so that
# Ctrl-C reaches only this script, with its output in a log file.
start() {
	local name=$1
	shift
	set -m
	"$@" >"$work/$name.log" 2>&1 </dev/null &
	pids[$name]=$!
	set +m
}

# stop NAME ends a process: SIGTERM, and SIGKILL if that takes longer than 15 seconds.
stop() {
	local pid=${pids[$1]:-}
	[[ -n $pid ]] || return 0
	unset "pids[$1]"
	kill "$pid" 2>/dev/null || return 0
	timeout 15 tail --pid="$pid" -f /dev/null || kill -KILL "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
}

# clean_up undoes everything, whatever happened, and keeps the exit status.
clean_up() {
	local status=$?
	trap '' INT TERM
	if ((status != 0 && status != 130)); then
		printf '\n%s== failed (exit status %d); the last lines of the logs%s\n' "$red" "$status" "$plain"
		local log
		for log in "$work"/*.log; do
			[[ -s $log ]] || continue
			printf '%s-- %s%s\n' "$dim" "${log##*/}" "$plain"
			tail -n 15 "$log"
		done
	fi
	section "Cleaning up"
	stop agent
	stop controller
	stop controlplane
	if mountpoint -q "$bpffs"; then umount "$bpffs" || umount --lazy "$bpffs"; fi
	rm -rf "$work"
	say "stopped the processes, unmounted the BPF file system, removed $work"
	exit "$status"
}
