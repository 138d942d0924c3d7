// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/bpfmap-io/bpfmap-operator/test/await"
)

// TestPrograms shows a program that uses a map, in each format, until it is gone.
func TestPrograms(t *testing.T) {
	bpffs := mountBPFFS(t)
	pin := filepath.Join(bpffs, "table")
	ok(t, "map", "create", "--pin", pin, "--type", "Hash", "--key-size", "4", "--value-size", "4", "--max-entries", "1", "--name", "table")
	if text := ok(t, "map", "info", "--pin", pin); !strings.Contains(text, "used by:      no program\n") {
		t.Errorf("want no program:\n%s", text)
	}
	m, err := ebpf.LoadPinnedMap(pin, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "block_v4", Type: ebpf.XDP, License: "GPL",
		Instructions: asm.Instructions{asm.LoadMapPtr(asm.R1, m.FD()), asm.Mov.Imm(asm.R0, 2), asm.Return()}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	info, err := p.Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := info.ID()
	used := fmt.Sprintf("block_v4 (id %d, xdp)", id)
	if text := ok(t, "map", "info", "--pin", pin); !strings.Contains(text, "used by:      "+used+"\n") {
		t.Errorf("want %s:\n%s", used, text)
	}
	var one mapInfo
	if err := json.Unmarshal([]byte(ok(t, "map", "info", "--pin", pin, "-o", "json")), &one); err != nil {
		t.Fatal(err)
	}
	if want := (programInfo{uint32(id), "block_v4", "xdp", info.Tag}); one.Programs == nil || !slices.Equal(*one.Programs, []programInfo{want}) {
		t.Errorf("programs %+v, want %+v", one.Programs, want)
	}
	line := func() string {
		for l := range strings.Lines(ok(t, "list", "--bpffs", bpffs, "-o", "wide")) {
			if strings.Contains(l, pin) {
				return l
			}
		}
		t.Fatal("the map isn't listed")
		return ""
	}
	if l := line(); strings.Fields(l)[12] != "1" || !strings.HasSuffix(l, used+"\n") {
		t.Errorf("want 1 program:\n%s", l)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	await.Nil(t, time.Minute, func() error { // the kernel frees programs some time later
		if l := line(); strings.Fields(l)[12] != "0" || strings.Contains(l, "block_v4") {
			return fmt.Errorf("want no program any more:\n%s", l)
		}
		return nil
	})
}
