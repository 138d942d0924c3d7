// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/status"
)

// inUse is what the map's newest revision holds. Its contents are read from the API server, if a limit of a source
// depends on them: a controller that has just started knows as much as one that hasn't.
func (r *reconciler) inUse(ctx context.Context, s *scope) *compile.InUse {
	in := &compile.InUse{Sources: s.m.Status.Sources}
	if len(s.own) > 0 {
		name := client.ObjectKeyFromObject(&s.own[len(s.own)-1])
		in.Contents = func() (*revision.Revision, error) { return r.readRevision(ctx, name) }
	}
	return in
}

// readRevision reads a revision with its contents.
func (r *reconciler) readRevision(ctx context.Context, name types.NamespacedName) (*revision.Revision, error) {
	var object v1alpha1.BPFMapRevision
	if err := r.live.Get(ctx, name, &object); err != nil {
		return nil, fmt.Errorf("read revision %s: %w", name.Name, err)
	}
	described, err := revision.Describe(&object)
	if err != nil {
		return nil, err
	}
	parts := make([]*revision.Part, len(object.Spec.Chunks))
	for i, chunk := range object.Spec.Chunks {
		var stored v1alpha1.BPFMapChunk
		if err := r.live.Get(ctx, types.NamespacedName{Namespace: name.Namespace, Name: chunk}, &stored); err != nil {
			return nil, fmt.Errorf("read chunk %s of revision %s: %w", chunk, name.Name, err)
		}
		if parts[i], err = revision.ReadPart(described.Shape, chunk, stored.Entries); err != nil {
			return nil, fmt.Errorf("read revision %s: %w", name.Name, err)
		}
	}
	return revision.FromObject(&object, parts)
}

// sourceStatuses are what the status says of the sources: what those contents are that the newest revision was made of,
// and why others aren't used.
func (s *scope) sourceStatuses(now time.Time) []v1alpha1.SourceStatus {
	before := s.m.Status.Sources
	if s.reports == nil {
		if len(s.m.Spec.EntriesFrom) == 0 {
			return nil
		}
		return unread(before, s.m.Spec.EntriesFrom)
	}
	isInUse := s.revised && s.rejected == nil
	list := make([]v1alpha1.SourceStatus, len(s.reports))
	for i := range s.reports {
		report := &s.reports[i]
		was := compile.FindSource(before, report.Index, report.Name)
		if was == nil {
			was = &v1alpha1.SourceStatus{}
		}
		if isInUse {
			list[i] = used(report, was, now)
		} else {
			list[i] = notUsed(report, was, now)
		}
		list[i].Index, list[i].Name = int32(report.Index), report.Name
	}
	return list
}

// unread is what is known of sources of which none was read now. Why one can't be fetched is told anew each time.
func unread(before []v1alpha1.SourceStatus, from []v1alpha1.EntrySource) []v1alpha1.SourceStatus {
	list := slices.Clone(before)
	for i := range list {
		at := int(list[i].Index)
		if at < len(from) && (from[at].HTTP != nil || from[at].Artifact != nil) {
			list[i].Message = ""
		}
	}
	return list
}

// used is the status of a source whose contents are in use.
func used(report *compile.SourceReport, was *v1alpha1.SourceStatus, now time.Time) v1alpha1.SourceStatus {
	next := v1alpha1.SourceStatus{
		Digest: report.Digest, Bytes: report.Bytes, Entries: report.Entries, LeftOut: report.LeftOut,
		LastGoodTime: was.LastGoodTime, NextFetchTime: was.NextFetchTime,
	}
	if next.Digest != was.Digest || next.LastGoodTime == nil {
		next.LastGoodTime = second(now)
	}
	if !report.NextChange.IsZero() {
		next.NextExpiryTime = second(report.NextChange)
	}
	return next
}

// notUsed is that of one whose earlier contents stay in use.
func notUsed(report *compile.SourceReport, was *v1alpha1.SourceStatus, now time.Time) v1alpha1.SourceStatus {
	next := *was.DeepCopy()
	next.Message = report.Problem
	switch {
	case report.Problem == "":
		next.RefusedSince = nil
	case next.RefusedSince == nil:
		next.RefusedSince = second(now)
	}
	return next
}

func second(t time.Time) *metav1.Time {
	rounded := metav1.NewTime(t).Rfc3339Copy()
	return &rounded
}

// withSince adds to a rejection since when the contents of a source are refused, and which ones stay.
func withSince(rejected *status.Rejection, sources []v1alpha1.SourceStatus) *status.Rejection {
	if rejected == nil {
		return nil
	}
	for i := range sources {
		s := &sources[i]
		if s.RefusedSince == nil {
			continue
		}
		told := *rejected
		told.Message += fmt.Sprintf(" (refused since %s", s.RefusedSince.UTC().Format(time.RFC3339))
		if s.LastGoodTime != nil {
			told.Message += fmt.Sprintf("; the contents of %s stay", s.LastGoodTime.UTC().Format(time.RFC3339))
		}
		told.Message += ")"
		return &told
	}
	return rejected
}
