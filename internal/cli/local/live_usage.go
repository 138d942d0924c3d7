// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"errors"
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/counts"
	served "github.com/bpfmap-io/bpfmap-operator/internal/contents"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
	"github.com/bpfmap-io/bpfmap-operator/internal/ownership"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// maxCounted is the largest map whose elements are counted one by one, where the kernel doesn't tell how many there are.
const maxCounted = 65536

// Usage is how full managed maps are, sorted by namespace and name.
func (l *Live) Usage(ctx context.Context, of revision.Key) ([]served.MapUsage, error) {
	records, err := l.store().Records()
	if err != nil {
		return nil, fmt.Errorf("look for managed maps: %w", err)
	}
	all := []served.MapUsage{}
	for i := range records {
		r := &records[i]
		if of.Namespace != "" && r.Key.Namespace != of.Namespace || of.Name != "" && r.Key.Name != of.Name {
			continue
		}
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		u := served.MapUsage{Namespace: r.Key.Namespace, Name: r.Key.Name}
		if err := l.usageOf(ctx, r, &u); err != nil {
			u.Error = err.Error()
		}
		all = append(all, u)
	}
	return all, nil
}

func (l *Live) usageOf(ctx context.Context, r *ownership.Record, u *served.MapUsage) error {
	m, err := l.store().KeepAlive(r.Key)
	if err != nil {
		return err
	}
	if m == nil {
		return errors.New("the map is gone: the agent makes it again when it looks at it next")
	}
	info, err := m.Info()
	if err == nil {
		u.MapID, u.Type, u.MaxEntries = info.ID, info.Type.String(), info.MaxEntries
		var more bpf.FDInfo
		if more, err = m.FDInfo(); err == nil {
			u.MemlockBytes, u.Frozen = more.Memlock, more.Frozen
			err = countLive(ctx, m, u)
		}
	}
	return errors.Join(err, m.Close())
}

// countLive counts elements as cheaply as the kernel lets: with a program, or by reading a map that is small.
func countLive(ctx context.Context, m *bpf.Map, u *served.MapUsage) error {
	if n, err := counts.Of(m); err == nil {
		known := int64(n)
		u.Entries, u.Exact = &known, true
		return nil
	}
	t := maptype.ByNumber(uint32(m.Type()))
	if t == nil || t.Reading != maptype.Listed || m.MaxEntries() > maxCounted && !t.Array {
		return nil
	}
	n, exact, err := m.Count(ctx)
	if err != nil {
		return err
	}
	known := int64(n)
	u.Entries, u.Exact = &known, exact
	return nil
}
