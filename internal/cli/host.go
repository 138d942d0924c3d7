// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/agent"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/kernel"
)

// host is this machine as a node.
type host struct {
	bpffs    string
	prefixes engine.PinPrefixes
}

// Probe says whether maps can be managed here.
func (h *host) Probe(context.Context) error { return kernel.Preflight(h.bpffs) }

// Open is the engine over this kernel.
func (h *host) Open() (agent.Engine, error) {
	b, err := kernel.New(h.bpffs, kernel.Options{})
	if err != nil {
		return nil, err
	}
	return agent.Locked(engine.New(b, engine.Options{AllowPin: h.prefixes.Allow}), h.bpffs), nil
}

// Facts are what this machine is. Without the capability to try them, there are no features.
func (h *host) Facts() (agent.Facts, error) {
	release, err := readLine("/proc/sys/kernel/osrelease")
	if err != nil {
		return agent.Facts{}, fmt.Errorf("read the kernel's release: %w", err)
	}
	boot, err := readLine("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return agent.Facts{}, fmt.Errorf("read the boot id: %w", err)
	}
	cpus, err := bpf.PossibleCPUs()
	if err != nil {
		return agent.Facts{}, err
	}
	facts := agent.Facts{KernelRelease: release, BootID: boot, PossibleCPUs: int32(cpus)}
	if features, err := bpf.Features(); err == nil {
		facts.Features = features
	}
	return facts, nil
}

func readLine(path string) (string, error) {
	text, err := os.ReadFile(path)
	return strings.TrimSpace(string(text)), err
}
