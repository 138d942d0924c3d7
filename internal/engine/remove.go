// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/ownership"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Remove gives a map up as its record's deletion policy says: Delete removes the pins that are ours, GiveBack takes out
// the declared keys and leaves the rest as it was found, Retain leaves everything. Without a record there is nothing to
// do.
func (e *Engine) Remove(ctx context.Context, key revision.Key) Report {
	report := Report{Key: key, State: v1alpha1.NodeMapReady, Reason: v1alpha1.NodeReasonInSync}
	e.forget(key)
	state, err := e.backend.Open(ctx, key, nil)
	if err != nil {
		report.Fail(fmt.Errorf("remove map %s: %w", key, err))
		return report
	}
	defer state.close()
	rec := state.Record
	switch {
	case rec == nil:
		if err := e.backend.Forget(ctx, key); err != nil {
			report.Fail(fmt.Errorf("remove map %s: %w", key, err))
		}
		e.options.Quota.Release(key)
		return report
	case e.options.Local && rec.UID != "":
		report.Fail(clusterOwned(rec))
		return report
	case !e.options.Local && rec.UID == "":
		return report // of people at this machine
	}
	report.UID, report.Revision, report.MapID = rec.UID, rec.Revision, rec.MapID
	paths, err := e.release(ctx, state, rec, &report)
	if err != nil {
		report.Fail(fmt.Errorf("remove map %s: %w", key, err))
		return report
	}
	for _, path := range paths {
		if err := e.backend.Unpin(ctx, key, path, append(rec.EarlierMaps, rec.MapID, rec.PreviousMapID)...); err != nil {
			report.Fail(fmt.Errorf("remove map %s: %w", key, err))
			return report
		}
	}
	if err := e.backend.Forget(ctx, key); err != nil {
		report.Fail(fmt.Errorf("remove map %s: %w", key, err))
	}
	e.options.Quota.Release(key)
	return report
}

// release does what the deletion policy says, and says which pins are to go.
func (e *Engine) release(ctx context.Context, state *State, rec *Record, report *Report) (paths []string, err error) {
	switch rec.DeletionOf(rec.Origin) {
	case v1alpha1.DeletionRetain:
		report.Action = ActionRetained
		return e.leftBehind(ctx, rec)
	case v1alpha1.DeletionGiveBack:
		report.Action = ActionGivenBack
		paths, report.Message, err = e.giveBack(ctx, state, rec)
		return paths, err
	}
	report.Action = ActionRemoved
	paths = append(slices.Clone(rec.PreviousPaths), rec.Pin.Path)
	for _, o := range []ownership.Origin{rec.Origin, rec.PreviousOrigin} {
		if o.Found != nil && !slices.Contains(paths, o.Found.Path) {
			paths = append(paths, o.Found.Path)
		}
	}
	return paths, nil
}

// leftBehind are the earlier paths of a map whose pin was being moved and has arrived: those pins are to go
// though the map stays.
func (e *Engine) leftBehind(ctx context.Context, rec *Record) ([]string, error) {
	if len(rec.PreviousPaths) == 0 {
		return nil, nil
	}
	state, err := e.backend.Open(ctx, rec.Key, &rec.Pin)
	if err != nil {
		return nil, err
	}
	defer state.close()
	if state.Pinned == nil {
		return nil, nil
	}
	info, err := state.Pinned.Info(ctx)
	if err != nil || info.ID != rec.MapID {
		return nil, err
	}
	return rec.PreviousPaths, nil
}

// Records are the records of all maps that are managed here, sorted by key.
func (e *Engine) Records(ctx context.Context) ([]Record, error) {
	records, err := e.backend.Records(ctx)
	if err != nil {
		return nil, fmt.Errorf("list records: %w", err)
	}
	return records, nil
}
