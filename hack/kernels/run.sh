#!/usr/bin/env bash
# Runs a command on another kernel, in a virtual machine: hack/kernels/run.sh [FLAG...] KERNEL -- COMMAND...
# `hack/kernels/run.sh -help` lists kernels and flags.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
CGO_ENABLED=0 GOWORK=off ${GO:-go} -C "$top" build -buildvcs=false -o bin/kernels ./hack/kernels
exec "$top/bin/kernels" run "$@"
