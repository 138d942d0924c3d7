// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
)

// together runs all of do at the same time, again and again until the first one has returned.
func together(first func(), others ...func()) {
	var stop atomic.Bool
	var all sync.WaitGroup
	for _, do := range others {
		all.Go(func() {
			for !stop.Load() {
				do()
			}
		})
	}
	first()
	stop.Store(true)
	all.Wait()
}

// TestConcurrentUse writes, deletes, reads and describes one handle from several goroutines: readings are
// complete, and elements that nobody touches are in each of them exactly once.
func TestConcurrentUse(t *testing.T) {
	for _, o := range iterated {
		t.Run(o.Type.String(), func(t *testing.T) {
			m := newTestMap(t, o)
			put(t, m, 0, changing)
			keys, values := elements(m, changing, changing)
			fail := func(what string, err error) {
				if err != nil && !errors.Is(err, ErrNotExist) {
					t.Errorf("%s: %v", what, err)
				}
			}
			read := func() {
				seen := make([]int, changing)
				it := m.Iterate(context.Background(), IterateOptions{BatchSize: 20})
				for it.Next() {
					for i := range it.Len() {
						if k := numberOf(m, it.buffer.key(m, i)); k < changing {
							seen[k]++
						}
					}
				}
				fail("iterate", it.Err())
				for k, n := range seen {
					if it.Complete() && n != 1 {
						t.Errorf("element %d was seen %d times", k, n)
					}
				}
				if !it.Complete() && m.typ != LPMTrie {
					t.Error("not complete")
				}
			}
			together(
				func() {
					for range 30 {
						read()
					}
				},
				func() {
					_, err := m.UpdateBatch(context.Background(), keys, values, Any)
					fail("update", err)
					_, err = m.DeleteBatchIgnoreMissing(context.Background(), keys)
					fail("delete", err)
				},
				func() {
					value := make([]byte, m.stride)
					fail("look up", m.LookupElem(keys[:m.key], value))
					fail("look up and delete", ignoreUnsupported(m.LookupAndDeleteElem(keys[:m.key], value)))
					_, err := m.GetNextKey(nil, make([]byte, m.key))
					fail("next key", err)
				},
				func() {
					_, err := m.Info()
					fail("info", err)
					_, err = m.FDInfo()
					fail("fdinfo", err)
				},
			)
		})
	}
}

func ignoreUnsupported(err error) error {
	if errors.Is(err, ErrNotSupported) {
		return nil
	}
	return err
}

// TestCloseMeetsCalls closes a handle while others use it: calls either go well or find it closed, and none
// of them reaches another object that got the same number.
func TestCloseMeetsCalls(t *testing.T) {
	other := newTestMap(t, CreateOpts{Type: Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	for range 30 {
		m, err := Create(CreateOpts{Type: Hash, KeySize: 4, ValueSize: 8, MaxEntries: 1000})
		if err != nil {
			t.Fatal(err)
		}
		keys, values := elements(m, 0, 1000)
		closedOr := func(what string, err error) {
			if err != nil && !errors.Is(err, ErrClosed) && !errors.Is(err, ErrNotExist) {
				t.Errorf("%s: %v", what, err)
			}
		}
		together(
			func() {
				for range 3 {
					_, err := m.UpdateBatch(context.Background(), keys, values, Any)
					closedOr("update", err)
				}
				closedOr("close", m.Close())
				if _, err := m.UpdateBatch(context.Background(), keys, values, Any); !errors.Is(err, ErrClosed) {
					t.Errorf("update of a closed map: %v", err)
				}
			},
			func() {
				_, _, err := m.Count(context.Background())
				closedOr("count", err)
			},
			func() { closedOr("look up", m.LookupElem(keys[:4], make([]byte, 8))) },
			func() {
				_, err := m.Info()
				closedOr("info", err)
				_, err = m.FDInfo()
				closedOr("fdinfo", err)
			},
			func() { // takes the number over as soon as it is free
				n, err := Create(CreateOpts{Type: Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
				if err == nil {
					err = n.Close()
				}
				closedOr("create", err)
			},
		)
		if err := m.Close(); err != nil {
			t.Errorf("close again: %v", err)
		}
	}
	if err := other.LookupElem(make([]byte, 4), make([]byte, 8)); err != nil {
		t.Error(err)
	}
}
