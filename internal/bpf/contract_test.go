// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// outcome is what an operation comes to: "ok", the name of a sentinel, or "" for don't try.
type outcome string

const (
	fine       outcome = "ok"
	exists     outcome = "ErrExist"
	absent     outcome = "ErrNotExist"
	full       outcome = "ErrFull"
	outOfRange outcome = "ErrOutOfRange"
	unsupp     outcome = "ErrNotSupported"
	invalid    outcome = "EINVAL"
	ends       outcome = "end"
)

func outcomeOf(err error) outcome {
	for _, s := range []struct {
		err  error
		name outcome
	}{{ErrExist, exists}, {ErrNotExist, absent}, {ErrFull, full}, {ErrOutOfRange, outOfRange}, {ErrNotSupported, unsupp}} {
		if errors.Is(err, s.err) {
			return s.name
		}
	}
	switch {
	case err == nil:
		return fine
	case sys.IsInvalid(err):
		return invalid
	}
	return outcome(err.Error())
}

// contract is one map type and what each operation on it comes to.
type contract struct {
	typ  MapType
	opts CreateOpts // Type is filled in; MaxEntries 4 if 0
	// key and value make the i-th element; defaults are a u32 and zeros that begin with i.
	key   func(i int) []byte
	value func(t *testing.T, m *Map, i int) []byte

	noExistDup, existMissing, badKey, tooMany         outcome
	lookup, lookupMissing, lookupAndDelete            outcome
	remove, removeMissing, nextKeyEmpty               outcome
	lookupBatch, drainBatch, updateBatch, deleteBatch outcome
	// alwaysThere is for types whose elements exist from the start.
	alwaysThere bool
}

func (c *contract) create(t *testing.T) *Map {
	t.Helper()
	o := c.opts
	o.Type = c.typ
	if o.MaxEntries == 0 {
		o.MaxEntries = 4
	}
	m, err := Create(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func (c *contract) keyOf(m *Map, i int) []byte {
	switch {
	case m.KeySize() == 0:
		return nil
	case c.key != nil:
		return c.key(i)
	}
	return binary.NativeEndian.AppendUint32(nil, uint32(i))
}

func (c *contract) valueOf(t *testing.T, m *Map, i int) []byte {
	if c.value != nil {
		return c.value(t, m, i)
	}
	v := make([]byte, m.ValueStride())
	v[0] = byte(i + 1)
	return v
}

// needsInner gives map-in-map types their template.
func needsInner(t *testing.T, c *contract) {
	t.Helper()
	if c.typ != ArrayOfMaps && c.typ != HashOfMaps {
		return
	}
	inner, err := Create(CreateOpts{Type: Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = inner.Close() })
	c.opts.InnerMap = inner
}

// TestContract holds each operation of each type to what the kernel was measured to do.
func TestContract(t *testing.T) {
	for _, c := range contracts {
		t.Run(c.typ.String(), func(t *testing.T) {
			if !known(t, c.typ) {
				return
			}
			c.onThisKernel()
			needsInner(t, &c)
			c.testElements(t)
			c.testDelete(t)
			c.testFull(t)
			c.testBatches(t)
			c.testFreeze(t)
			c.testSizes(t)
		})
	}
}

// onThisKernel takes out the commands that came later.
func (c *contract) onThisKernel() {
	for op, outcome := range map[maptype.Ops]*outcome{
		maptype.LookupAndDelete: &c.lookupAndDelete, maptype.LookupBatch: &c.lookupBatch, maptype.UpdateBatch: &c.updateBatch,
		maptype.DeleteBatch: &c.deleteBatch, maptype.LookupAndDeleteBatch: &c.drainBatch,
	} {
		if *outcome == fine && !has(c.typ, op) {
			*outcome = unsupp
		}
	}
}

func (c *contract) want(t *testing.T, what string, err error, want outcome) {
	t.Helper()
	if got := outcomeOf(err); want != "" && got != want {
		t.Errorf("%s: %s (%v), want %s", what, got, err, want)
	}
}

func (c *contract) testElements(t *testing.T) {
	m := c.create(t)
	value := make([]byte, m.ValueStride())
	if c.nextKeyEmpty != "" {
		found, err := m.GetNextKey(nil, make([]byte, m.KeySize()))
		got := outcomeOf(err)
		if err == nil && !found {
			got = ends
		}
		if got != c.nextKeyEmpty {
			t.Errorf("first key of an empty map: %s (%v), want %s", got, err, c.nextKeyEmpty)
		}
	}
	if c.typ != BloomFilter && !c.alwaysThere {
		err := m.LookupElem(c.keyOf(m, 0), value)
		c.want(t, "look up in an empty map", err, absent)
	}
	c.want(t, "update", m.UpdateElem(c.keyOf(m, 0), c.valueOf(t, m, 0), Any), fine)
	c.want(t, "update again", m.UpdateElem(c.keyOf(m, 0), c.valueOf(t, m, 0), Any), fine)
	c.want(t, "NoExist on an existing key", m.UpdateElem(c.keyOf(m, 0), c.valueOf(t, m, 0), NoExist), c.noExistDup)
	c.want(t, "Exist on a missing key", m.UpdateElem(c.keyOf(m, 1), c.valueOf(t, m, 1), Exist), c.existMissing)
	if both := NoExist | Exist; !m.traits.PerCPU || !HaveAllCPUs(c.typ) { // these take any flag below CPU since Linux 7.0
		c.want(t, "NoExist and Exist", m.UpdateElem(c.keyOf(m, 0), c.valueOf(t, m, 0), both), invalid)
	}
	c.want(t, "Lock without a lock in the BTF", m.UpdateElem(c.keyOf(m, 0), c.valueOf(t, m, 0), Lock), unsupp)
	one := c.valueOf(t, m, 0)
	if m.traits.PerCPU {
		one = one[:m.ValueSize()]
	}
	oneCPUs := unsupp
	if m.traits.PerCPU && does(t, &maptype.OneCPUsValue) {
		oneCPUs = fine
	}
	if HaveAllCPUs(c.typ) != (oneCPUs == fine) {
		t.Errorf("HaveAllCPUs: %t, want %s", HaveAllCPUs(c.typ), oneCPUs)
	}
	c.want(t, "AllCPUs", m.UpdateElem(c.keyOf(m, 0), one, AllCPUs), oneCPUs)
	c.testAllCPUs(t, m, one, oneCPUs == fine)
	c.want(t, "CPU", m.UpdateElem(c.keyOf(m, 0), one, OnCPU(0)), oneCPUs)
	if c.badKey != "" {
		key := binary.NativeEndian.AppendUint32(nil, 99) // an index out of range, or a prefix that is too long
		if m.KeySize() > 4 {
			key = append(key, make([]byte, m.KeySize()-4)...)
		}
		c.want(t, "update a bad key", m.UpdateElem(key, c.valueOf(t, m, 0), Any), c.badKey)
	}
	if c.typ == BloomFilter {
		copy(value, c.valueOf(t, m, 0))
	}
	c.want(t, "look up", m.LookupElem(c.keyOf(m, 0), value), c.lookup)
	if c.typ == Stack { // the newest one
		c.want(t, "pop", m.LookupAndDeleteElem(nil, value), fine)
		c.want(t, "pop", m.LookupAndDeleteElem(nil, value), fine)
	}
	if c.value == nil && string(value) != string(c.valueOf(t, m, 0)) {
		t.Errorf("looked up %x, want %x", value, c.valueOf(t, m, 0))
	}
	c.want(t, "look up a missing key", m.LookupElem(c.keyOf(m, 77), value), c.lookupMissing)
	c.want(t, "look up and delete", m.LookupAndDeleteElem(c.keyOf(m, 0), value), c.lookupAndDelete)
	if c.lookupAndDelete == fine && c.typ != Queue && c.typ != Stack {
		c.want(t, "look up and delete again", m.LookupAndDeleteElem(c.keyOf(m, 0), value), absent)
	}
	c.refusedByKernel(t, m, "look up and delete", c.lookupAndDelete, sys.MapLookupAndDeleteElem)
}

// testAllCPUs looks whether each CPU has the value, and gives all but the first theirs back.
func (c *contract) testAllCPUs(t *testing.T, m *Map, one []byte, written bool) {
	t.Helper()
	if !written {
		return
	}
	value := make([]byte, m.ValueStride())
	c.want(t, "look up after AllCPUs", m.LookupElem(c.keyOf(m, 0), value), fine)
	for slot := maptype.Slot(len(one)); len(value) > 0; value = value[slot:] {
		if string(value[:len(one)]) != string(one) {
			t.Errorf("a CPU has %x after AllCPUs, want %x", value[:len(one)], one)
		}
	}
	c.want(t, "update after AllCPUs", m.UpdateElem(c.keyOf(m, 0), c.valueOf(t, m, 0), Any), fine)
}

// refusedByKernel checks the table of traits: what we call not supported, the kernel refuses, too.
func (c *contract) refusedByKernel(t *testing.T, m *Map, what string, want outcome, cmd sys.Cmd) {
	t.Helper()
	if want != unsupp {
		return
	}
	if err := m.fd.Elem(cmd, c.keyOf(m, 0), make([]byte, m.ValueStride()), 0); err == nil {
		t.Errorf("%s is called not supported, and the kernel does it", what)
	}
}

func (c *contract) testDelete(t *testing.T) {
	m := c.create(t)
	c.want(t, "update", m.UpdateElem(c.keyOf(m, 0), c.valueOf(t, m, 0), Any), fine)
	if c.removeMissing != "" {
		missing := 1
		if c.removeMissing == outOfRange || c.removeMissing == invalid {
			missing = 77 // an index
		}
		c.want(t, "delete a missing key", m.DeleteElem(c.keyOf(m, missing)), c.removeMissing)
	}
	c.want(t, "delete", m.DeleteElem(c.keyOf(m, 0)), c.remove)
	if c.remove == fine {
		c.want(t, "delete with a flag", m.DeleteElemFlags(c.keyOf(m, 0), Lock), unsupp)
	} else if m.KeySize() > 0 {
		c.refusedByKernel(t, m, "delete", c.remove, sys.MapDeleteElem)
	}
}

func (c *contract) testFull(t *testing.T) {
	if c.tooMany == "" {
		return
	}
	m := c.create(t)
	for i := range int(m.MaxEntries()) {
		c.want(t, fmt.Sprintf("update %d", i), m.UpdateElem(c.keyOf(m, i), c.valueOf(t, m, i), Any), fine)
	}
	err := m.UpdateElem(c.keyOf(m, int(m.MaxEntries())), c.valueOf(t, m, 0), Any)
	c.want(t, "one element more than there is room for", err, c.tooMany)
	if m.KeySize() == 0 && c.existMissing == "" {
		c.want(t, "Exist on a full queue", m.UpdateElem(nil, c.valueOf(t, m, 9), Exist), fine)
	}
}

func (c *contract) testBatches(t *testing.T) {
	if c.lookupBatch == "" {
		return
	}
	m := c.create(t)
	var keys, values []byte
	for i := range 2 {
		keys, values = append(keys, c.keyOf(m, i)...), append(values, c.valueOf(t, m, i)...)
	}
	done, err := m.UpdateBatch(t.Context(), keys, values, Any) // element by element if there is no command
	if done != 2 || err != nil {
		t.Errorf("update batch: %d, %v", done, err)
	}
	if (HaveBatch(c.typ) == nil) != (c.updateBatch == fine) && c.opts.InnerMap == nil {
		t.Errorf("HaveBatch: %v, want %s", HaveBatch(c.typ), c.updateBatch)
	}
	seen := 0
	it := m.Iterate(t.Context(), IterateOptions{BatchSize: 3})
	for it.Next() {
		seen += it.Len()
	}
	if want := map[bool]int{true: 4, false: 2}[c.alwaysThere]; it.Err() != nil || !it.Complete() || it.Restarts() != 0 ||
		seen != want && m.traits.IndexKey == c.alwaysThere {
		t.Errorf("iteration: %d elements, complete %t, %d restarts, %v", seen, it.Complete(), it.Restarts(), it.Err())
	}
	outKeys, outValues := make([]byte, 4*m.KeySize()), make([]byte, 4*m.ValueStride())
	n, more, err := m.LookupAndDeleteBatch(t.Context(), outKeys, outValues, Any)
	c.want(t, "drain", err, c.drainBatch)
	if err == nil {
		if n != 2 || more {
			t.Errorf("drained %d, more %t", n, more)
		}
		if _, err := m.UpdateBatch(t.Context(), keys, values, Any); err != nil {
			t.Error(err)
		}
	}
	if c.deleteBatch != fine && !m.traits.DeleteBatch {
		if c.remove != fine {
			_, err = m.DeleteBatch(t.Context(), keys)
			c.want(t, "delete batch", err, c.deleteBatch)
		}
		return
	}
	if done, err := m.DeleteBatch(t.Context(), append(c.keyOf(m, 0), c.keyOf(m, 77)...)); done != 1 || !errors.Is(err, ErrNotExist) {
		t.Errorf("delete batch with a missing key: %d, %v", done, err)
	}
	if done, err := m.DeleteBatchIgnoreMissing(t.Context(), append(c.keyOf(m, 77), c.keyOf(m, 1)...)); done != 2 || err != nil {
		t.Errorf("delete batch, missing keys ignored: %d, %v", done, err)
	}
	if n, exact, err := m.Count(t.Context()); n != 0 || !exact || err != nil {
		t.Errorf("count: %d, exact %t, %v", n, exact, err)
	}
}

func (c *contract) testFreeze(t *testing.T) {
	m := c.create(t)
	value := c.valueOf(t, m, 0)
	c.want(t, "update", m.UpdateElem(c.keyOf(m, 0), value, Any), fine)
	if info, err := m.FDInfo(); err != nil || info.Frozen {
		t.Errorf("before the freeze: %+v, %v", info, err)
	}
	c.want(t, "freeze", m.Freeze(), fine)
	if info, err := m.FDInfo(); err != nil || !info.Frozen {
		t.Errorf("after the freeze: %+v, %v", info, err)
	}
	for what, err := range map[string]error{
		"freeze again": m.Freeze(),
		"update":       m.UpdateElem(c.keyOf(m, 0), value, Any),
		"update batch": second(m.UpdateBatch(t.Context(), c.keyOf(m, 0), value, Any)),
	} {
		if !errors.Is(err, ErrFrozen) {
			t.Errorf("%s of a frozen map: %v", what, err)
		}
	}
	if m.traits.Delete {
		if err := m.DeleteElem(c.keyOf(m, 0)); !errors.Is(err, ErrFrozen) {
			t.Errorf("delete in a frozen map: %v", err)
		}
	}
	if c.typ != BloomFilter {
		value = make([]byte, m.ValueStride())
	}
	c.want(t, "look up in a frozen map", m.LookupElem(c.keyOf(m, 0), value), c.lookup)
}

func second(_ int, err error) error { return err }

// testSizes refuses buffers that the kernel would read or write beyond.
func (c *contract) testSizes(t *testing.T) {
	m := c.create(t)
	key, value := c.keyOf(m, 0), make([]byte, m.ValueStride())
	for what, err := range map[string]error{
		"update with a long key":    m.UpdateElem(append(key[:len(key):len(key)], 0), value, Any),
		"update with a short value": m.UpdateElem(key, value[1:], Any),
		"look up, short value":      m.LookupElem(key, value[1:]),
		"batch of odd size":         second(m.UpdateBatch(t.Context(), key, append(value, 0), Any)),
		"batch without values":      second(m.UpdateBatch(t.Context(), append(key[:len(key):len(key)], key...), value, Any)),
	} {
		if m.KeySize() == 0 && what == "batch without values" {
			continue
		}
		if outcomeOf(err) == fine || sys.IsInvalid(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
