// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// tryCreate creates and closes.
func tryCreate(o bpf.CreateOpts) error {
	m, err := bpf.Create(o)
	if err != nil {
		return err
	}
	return m.Close()
}

func wantMissing(t *testing.T, what string, err error, capability string) {
	t.Helper()
	if !errors.Is(err, bpf.ErrNotPermitted) || !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "missing "+capability) {
		t.Errorf("%s: %v, want ErrNotPermitted that names %s", what, err, capability)
	}
}

func TestWithoutCapabilities(t *testing.T) {
	m := hashMap(t, 4)
	info, err := m.Info()
	if err != nil {
		t.Fatal(err)
	}
	blob, _, _ := lockedValue(t)
	dir := bpftest.BPFFS(t)
	hash := bpf.CreateOpts{Type: bpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: 1}
	devMap := bpf.CreateOpts{Type: bpf.DevMap, KeySize: 4, ValueSize: 4, MaxEntries: 1}

	bpftest.WithCapabilities(t, nil, func() {
		wantMissing(t, "create", tryCreate(hash), "CAP_BPF")
		wantMissing(t, "create a device map", tryCreate(devMap), "CAP_BPF and CAP_NET_ADMIN")
		_, err := bpf.LoadBTF(blob)
		wantMissing(t, "load BTF", err, "CAP_BPF")
		_, _, err = bpf.GetNextID(0)
		wantMissing(t, "next id", err, "CAP_SYS_ADMIN")
		_, err = bpf.GetFDByID(info.ID)
		wantMissing(t, "open by id", err, "CAP_SYS_ADMIN")
		_, err = bpf.Features()
		wantMissing(t, "features", err, "CAP_BPF")
		for _, err := range bpf.Maps() {
			wantMissing(t, "maps", err, "CAP_SYS_ADMIN")
		}

		// What works on a handle that is there needs none.
		value := make([]byte, 8)
		_, infoErr := m.FDInfo()
		_, batchErr := m.UpdateBatch(t.Context(), key32(2), value, bpf.Any)
		open, freeze := bpf.Does(t, &maptype.OpenHandles), bpf.Does(t, &maptype.FreezeByHandle)
		for what, err := range map[string]error{
			"update": m.UpdateElem(key32(1), value, bpf.Any), "look up": m.LookupElem(key32(1), value), "batch": batchErr,
			"look up and delete": m.LookupAndDeleteElem(key32(1), value), "delete": m.DeleteElem(key32(2)),
			"fdinfo": infoErr, "pin": m.Pin(filepath.Join(dir, "pinned")), "freeze": m.Freeze(),
		} {
			switch {
			case what != "fdinfo" && !open, what == "freeze" && !freeze:
				wantMissing(t, what+" without capabilities", err, "CAP_BPF")
			case what == "look up and delete" && !bpf.Has(bpf.Hash, maptype.LookupAndDelete):
				wantErr(t, what, err, bpf.ErrNotSupported)
			case err != nil:
				t.Errorf("%s without capabilities: %v", what, err)
			}
		}
	})
	bpftest.WithCapabilities(t, []sys.Capability{sys.CapBPF}, func() {
		if err := tryCreate(hash); err != nil {
			t.Errorf("create with CAP_BPF: %v", err)
		}
		wantMissing(t, "create a device map with CAP_BPF", tryCreate(devMap), "CAP_NET_ADMIN")
		_, _, err = bpf.GetNextID(0)
		wantMissing(t, "next id with CAP_BPF", err, "CAP_SYS_ADMIN")
	})
	bpftest.WithCapabilities(t, []sys.Capability{sys.CapBPF, sys.CapNetAdmin}, func() {
		if err := tryCreate(devMap); err != nil {
			t.Errorf("create a device map with CAP_BPF and CAP_NET_ADMIN: %v", err)
		}
	})
	bpftest.WithCapabilities(t, []sys.Capability{sys.CapSysAdmin}, func() {
		if err := tryCreate(hash); err != nil {
			t.Errorf("create with CAP_SYS_ADMIN alone: %v", err)
		}
		if _, _, err := bpf.GetNextID(0); err != nil {
			t.Errorf("next id with CAP_SYS_ADMIN: %v", err)
		}
	})
}

// leakVariable makes TestLeakIsNoticed leak in a process of its own.
const leakVariable = "BPFMAP_TEST_LEAK"

// TestLeakIsNoticed runs this test binary so that it leaks, and wants it to fail.
func TestLeakIsNoticed(t *testing.T) {
	if os.Getenv(leakVariable) != "" {
		m, err := bpf.Create(bpf.CreateOpts{Type: bpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: 1})
		if err != nil {
			t.Fatal(err)
		}
		_ = m.FD() // and never closed
		return
	}
	for _, run := range []struct {
		leak string
		code int
	}{{"", 0}, {"1", 99}} {
		name := "TestLeakIsNoticed"
		if run.leak == "" {
			name = "TestInfo"
		}
		cmd := exec.Command(os.Args[0], "-test.run=^"+name+"$")
		cmd.Env = append(os.Environ(), leakVariable+"="+run.leak)
		out, err := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != run.code {
			t.Errorf("leak %q: exit code %d, want %d (%v)\n%s", run.leak, got, run.code, err, out)
		}
	}
}
