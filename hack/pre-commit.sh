#!/usr/bin/env bash
# The hook of .pre-commit-hooks.yaml: builds bpfmap in the hook's own clone, which Go's cache makes quick from the second
# time on, and runs bpfmap validate with the hook's arguments in the repository that uses it.
set -euo pipefail
clone=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if ! command -v go >/dev/null; then
	echo "bpfmap-validate builds bpfmap, and there is no go in PATH" >&2
	exit 1
fi
CGO_ENABLED=0 go build -C "$clone" -buildvcs=false -o bin/pre-commit/bpfmap ./cmd/bpfmap
exec "$clone/bin/pre-commit/bpfmap" validate "$@"
