// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"encoding/json"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

func TestList(t *testing.T) {
	bpffs := mountBPFFS(t)
	pin := filepath.Join(bpffs, "routes")
	ok(t, "map", "create", "--pin", pin, "--type", "LPMTrie", "--key-size", "8", "--value-size", "4",
		"--max-entries", "100", "--flags", "NoPrealloc", "--name", "list_routes")
	ok(t, "map", "pin", "--pin", pin, filepath.Join(bpffs, "again"))
	ok(t, "map", "freeze", "--pin", pin)
	m, err := bpf.GetPinned(pin, bpf.RdOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	info, err := m.Info()
	if err != nil {
		t.Fatal(err)
	}

	var list struct{ Maps []mapInfo }
	if err := json.Unmarshal([]byte(ok(t, "list", "--bpffs", bpffs, "-o", "json")), &list); err != nil {
		t.Fatal(err)
	}
	found := false
	last := uint32(0)
	for _, l := range list.Maps {
		if l.ID <= last {
			t.Errorf("id %d comes after %d", l.ID, last)
		}
		last = l.ID
		if l.ID != info.ID {
			continue
		}
		found = true
		got, _ := json.Marshal(l)
		want, _ := json.Marshal(mapInfo{
			ID: info.ID, Type: "LPMTrie", Name: "list_routes", KeySize: 8, ValueSize: 4, MaxEntries: 100,
			Flags: []string{"NoPrealloc"}, MemlockBytes: l.MemlockBytes, Frozen: true, EntryCount: new(int64),
			Programs: &[]programInfo{}, HeldByMaps: new(int),
			Pins: []string{filepath.Join(bpffs, "again"), pin},
		})
		equal(t, string(got), string(want))
	}
	if !found {
		t.Errorf("map %d is not among the %d maps", info.ID, len(list.Maps))
	}

	wide := ok(t, "list", "--bpffs", bpffs, "-o", "wide")
	if header := strings.Fields(strings.SplitN(wide, "\n", 2)[0]); strings.Join(header, " ") !=
		"ID TYPE NAME ENTRIES FILL MEMORY OWNER KEY VALUE MAX-ENTRIES FLAGS FROZEN PROGS BTF PINS USED-BY" {
		t.Errorf("header %v", header)
	}
	if !strings.Contains(wide, filepath.Join(bpffs, "again")+","+pin) {
		t.Errorf("the pins are missing:\n%s", wide)
	}
	if managed := ok(t, "list", "--bpffs", bpffs, "--managed"); strings.Count(managed, "\n") != 1 {
		t.Errorf("nothing is managed here, but:\n%s", managed)
	}
}

func TestListRefusesFormat(t *testing.T) {
	equal(t, fails(t, "list", "-o", "xml"),
		"Error: invalid argument \"xml\" for \"-o, --output\" flag: must be one of table, wide, json, yaml\n")
}

// TestListWithoutCapabilities lists what is pinned, and says why there isn't more.
func TestListWithoutCapabilities(t *testing.T) {
	bpffs := mountBPFFS(t)
	pin := filepath.Join(bpffs, "a")
	ok(t, "map", "create", "--pin", pin, "--type", "Array", "--key-size", "4", "--value-size", "4", "--max-entries", "1")
	r := withoutCapabilities(t, func() result { return run(t, "list", "--bpffs", bpffs, "-o", "wide") })
	if opensFreely(t) {
		if r.code != 0 || strings.Count(r.out, "\n") != 2 || !strings.HasSuffix(strings.TrimRight(r.out, " -\n"), pin) || !strings.Contains(r.out, "false       ?") {
			t.Errorf("want the one pinned map:\n%s", r)
		}
	} else if r.code != 0 || strings.Count(r.out, "\n") != 1 ||
		!strings.Contains(r.errOut, "\nSkipped: open pin of "+pin+": not permitted (missing CAP_BPF, which every command takes before Linux 5.19)") {
		t.Errorf("want what is missing to open the pin:\n%s", r)
	}
	if !strings.Contains(r.errOut, "It is not known which programs use a map: look at all programs and maps: not permitted (missing CAP_BPF: CAP_BPF with CAP_PERFMON, or CAP_SYS_ADMIN is needed)\n") {
		t.Errorf("want what is missing to know programs:\n%s", r)
	}
	if !strings.Contains(r.errOut, "Only pinned maps are listed: ") || !strings.Contains(r.errOut, "CAP_SYS_ADMIN") {
		t.Errorf("want the reason:\n%s", r)
	}
}

// opensFreely says that operations on open maps, and opening pins, take no capability.
func opensFreely(t *testing.T) bool {
	t.Helper()
	return bpftest.Since(t, maptype.OpenHandles.Since.Major, maptype.OpenHandles.Since.Minor)
}

// withoutCapabilities runs a command on a thread without any, which ends with it.
func withoutCapabilities(t *testing.T, command func() result) result {
	t.Helper()
	done := make(chan result)
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&header, &none[0]); err != nil {
			t.Errorf("drop capabilities: %v", err)
			return
		}
		done <- command()
	}()
	return <-done
}
