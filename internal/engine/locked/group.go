// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package locked

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// SyncMember brings the map of a group to its revision, unless it is to be replaced.
func (e *Engine) SyncMember(ctx context.Context, rev *revision.Revision) (r engine.Report, alone bool) {
	err := e.locked(ctx, rev.Key, func() { r, alone = e.inner.SyncMember(ctx, rev) })
	if err == nil {
		return r, alone
	}
	return failed(r, engine.Report{Key: rev.Key, UID: rev.UID, Revision: rev.Name}, err), true
}

// SyncGroup replaces the maps of a group. It takes the locks of all of them in the order of their names, as everybody
// does.
func (e *Engine) SyncGroup(ctx context.Context, members []engine.Member) []engine.Report {
	sorted := slices.SortedFunc(slices.Values(members), func(a, b engine.Member) int {
		return strings.Compare(a.Key.String(), b.Key.String())
	})
	var unlocks []func() error
	var err error
	for _, m := range sorted {
		if m.Rev == nil {
			continue
		}
		unlock, lockErr := e.lock(ctx, m.Key)
		if err = lockErr; err != nil {
			break
		}
		unlocks = append(unlocks, unlock)
	}
	var reports []engine.Report
	if err == nil {
		reports = e.inner.SyncGroup(ctx, members)
	} else {
		reports = unlockedGroup(members, err)
	}
	var unlockErr error
	for _, unlock := range slices.Backward(unlocks) {
		unlockErr = errors.Join(unlockErr, unlock())
	}
	if unlockErr != nil {
		for i := range reports {
			reports[i] = failed(reports[i], engine.Report{Key: reports[i].Key, UID: reports[i].UID, Revision: reports[i].Revision},
				fmt.Errorf("after the work on the maps of a group: %w", unlockErr))
		}
	}
	return reports
}

// unlockedGroup reports that nothing was looked at.
func unlockedGroup(members []engine.Member, err error) []engine.Report {
	var reports []engine.Report
	for _, m := range members {
		if m.Rev != nil {
			reports = append(reports, failed(engine.Report{}, reportOf(m.Rev), err))
		}
	}
	return reports
}

func reportOf(rev *revision.Revision) engine.Report {
	return engine.Report{Key: rev.Key, UID: rev.UID, Revision: rev.Name}
}
