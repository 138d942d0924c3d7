// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// TestTableOps tries every command on maps with elements. What the table says that a type has must
// succeed, what it lacks the kernel must refuse.
func TestTableOps(t *testing.T) {
	forEachType(t, func(t *testing.T, m *maptype.Type, o CreateOpts) {
		row := contractRows[MapType(m.Number)]
		o.MaxEntries *= 4
		if m.Value.Default.Type == "u64" && m.Value.Takes(8) {
			o.ValueSize = 8 // a cookie, which has no room in 4 bytes
		}
		if m.Capacity == maptype.CPUs {
			o.MaxEntries = 1
		}
		made, err := Create(o)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = made.Close() }()
		h := &opsTest{t: t, m: m, handle: made, row: row}
		h.ops = m.OpsOn(runningKernel())
		if m.Name == "InodeStorage" && !storesAtInodes(t) {
			h.row.empty = true
		}
		h.singles()
		h.batches()
		expect(t, "freeze", m.Ops.Has(maptype.Freeze), made.fd.Freeze())
	})
}

type opsTest struct {
	t      *testing.T
	m      *maptype.Type
	handle *Map
	row    contractRow
	ops    maptype.Ops // of this kernel
}

// storesAtInodes says whether the kernel was started with the BPF LSM, which inodes' storage is part of. Without
// it, older kernels know the type and refuse its elements.
func storesAtInodes(t *testing.T) bool {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "securityfs", 0, ""); err != nil {
		t.Fatalf("mount securityfs (this test needs root): %v", err)
	}
	defer func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	text, err := os.ReadFile(filepath.Join(dir, "lsm"))
	return err == nil && slices.Contains(strings.Split(strings.TrimSpace(string(text)), ","), "bpf")
}

func (h *opsTest) key(i int) []byte {
	switch {
	case h.m.IsKeyless():
		return nil
	case h.row.key != nil:
		return h.row.key(h.t, h.handle, i)
	}
	key := make([]byte, h.handle.KeySize())
	copy(key, u32(i))
	return key
}

func (h *opsTest) value(i int) []byte {
	if h.row.value != nil {
		return h.row.value(h.t, h.handle, i)
	}
	value := make([]byte, h.handle.ValueStride())
	if len(value) > 0 {
		value[0] = byte(i + 1)
	}
	return value
}

// singles are the commands on one element. An element is there, unless a test can't write any; then
// "not found" is an answer, and so is a refusal of an element for other reasons than the command.
func (h *opsTest) singles() {
	key := h.key(0)
	for _, c := range []struct {
		what string
		op   maptype.Ops
		cmd  sys.Cmd
		out  bool // the value is written by the kernel
	}{
		{"update", maptype.Update, sys.MapUpdateElem, false}, {"look up", maptype.Lookup, sys.MapLookupElem, true},
		{"look up and delete", maptype.LookupAndDelete, sys.MapLookupAndDeleteElem, true},
		{"update again", maptype.Update, sys.MapUpdateElem, false}, {"delete", maptype.Delete, sys.MapDeleteElem, false},
		{"update after delete", maptype.Update, sys.MapUpdateElem, false}, {"first key", maptype.NextKey, sys.MapGetNextKey, true},
	} {
		buffer := h.value(0)
		switch {
		case c.op == maptype.NextKey:
			buffer = make([]byte, h.handle.KeySize())
		case c.op == maptype.Delete:
			buffer = nil
		case c.out && h.m.Reading != maptype.Asked:
			buffer = make([]byte, h.handle.ValueStride())
		}
		at := key
		if c.op == maptype.NextKey {
			at = nil
		}
		err := h.handle.fd.Elem(c.cmd, at, buffer, 0)
		if h.row.empty && h.ops.Has(c.op) {
			if sys.IsNotSupp(err) {
				h.t.Errorf("%s: the table says that it exists, the kernel %v", c.what, err)
			}
			continue
		}
		expect(h.t, c.what, h.ops.Has(c.op), err)
	}
}

// batches are the commands on several elements.
func (h *opsTest) batches() {
	key, value := h.key(0), h.value(0)
	keys, values, cursor := make([]byte, 4*len(key)), make([]byte, 4*max(1, len(value))), make([]byte, max(8, len(key)))
	for _, c := range []struct {
		what         string
		op           maptype.Ops
		cmd          sys.Cmd
		out          []byte // the cursor, for commands that walk
		keys, values []byte
		n            int
	}{
		{"update batch", maptype.UpdateBatch, sys.MapUpdateBatch, nil, key, value, 1},
		{"look up batch", maptype.LookupBatch, sys.MapLookupBatch, cursor, keys, values, 4},
		{"look up and delete batch", maptype.LookupAndDeleteBatch, sys.MapLookupAndDeleteBatch, cursor, keys, values, 4},
		{"update batch again", maptype.UpdateBatch, sys.MapUpdateBatch, nil, key, value, 1},
		{"delete batch", maptype.DeleteBatch, sys.MapDeleteBatch, nil, key, nil, 1},
	} {
		_, err := h.handle.fd.Batch(c.cmd, nil, c.out, c.keys, c.values, c.n, 0)
		if sys.IsNotExist(err) {
			err = nil // the end of the map
		}
		expect(h.t, c.what, h.ops.Has(c.op), err)
	}
}
