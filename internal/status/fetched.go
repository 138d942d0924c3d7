// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// Fetched is what is known of a source that is fetched.
type Fetched struct {
	// Index is the number of its element of entriesFrom, and Name says where it is.
	Index int32
	Name  string
	// Digest and Bytes are of the last good contents, as they were sent. Good is when they were found to be the newest
	// ones; zero if there are none.
	Digest string
	Bytes  int64
	Good   time.Time
	// Next is when it is fetched again.
	Next time.Time
	// Failure is why the last attempt failed, and Since when the first one did in a row; empty if it didn't.
	Failure string
	Since   time.Time
}

// place is what messages about it begin with.
func (f *Fetched) place() string { return fmt.Sprintf("spec.entriesFrom[%d] (%s)", f.Index, f.Name) }

// maxSourceMessage is the bound of SourceStatus.message, in bytes.
const maxSourceMessage = 4096

// maxStale bounds the sources that a message names.
const maxStale = 3

// trouble is why the newest contents aren't known, since when, and what is in use; empty if they are.
func (f *Fetched) trouble() string {
	switch {
	case f.Failure == "":
		return ""
	case f.Good.IsZero():
		return fmt.Sprintf("could not be fetched since %s: %s", stamp(f.Since), f.Failure)
	}
	return fmt.Sprintf("could not be fetched since %s: %s; the last good contents of %s are in use", stamp(f.Since), f.Failure, stamp(f.Good))
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// stale lists the sources that can't be fetched; empty if there are none.
func (in *Input) stale() string {
	var all []string
	for i := range in.Fetched {
		if f := &in.Fetched[i]; f.Failure != "" {
			all = append(all, f.place()+" "+f.trouble())
		}
	}
	if more := len(all) - maxStale; more > 0 {
		all = append(all[:maxStale], "and "+text.Count(more, "more source", "more sources"))
	}
	return strings.Join(all, "; ")
}

// sourcesFresh says whether the newest contents of all sources that are fetched are known.
func sourcesFresh(in Input) metav1.Condition {
	c := metav1.Condition{
		Type: v1alpha1.ConditionSourcesFresh, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonFetched,
		Message: text.Count(len(in.Fetched), "source was fetched", "sources were fetched"),
	}
	waits := slices.IndexFunc(in.Fetched, func(f Fetched) bool { return f.Good.IsZero() })
	switch stale := in.stale(); {
	case stale != "":
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, v1alpha1.ReasonFetchFailed, stale
	case waits >= 0:
		c.Status, c.Reason, c.Message = metav1.ConditionUnknown, v1alpha1.ReasonFetchPending, in.Fetched[waits].place()+" waits for the first fetch"
	}
	return c
}

// withFetches adds to what was read from the sources how they were fetched.
func withFetches(all []v1alpha1.SourceStatus, fetched []Fetched) []v1alpha1.SourceStatus {
	for _, f := range fetched {
		i := slices.IndexFunc(all, func(s v1alpha1.SourceStatus) bool { return s.Index == f.Index })
		if i < 0 {
			all = append(all, v1alpha1.SourceStatus{Index: f.Index, Name: f.Name, Digest: f.Digest, Bytes: f.Bytes})
			i = len(all) - 1
		}
		s := &all[i]
		if !f.Good.IsZero() && s.RefusedSince == nil { // what was fetched but is refused isn't good
			s.LastGoodTime = new(metav1.NewTime(f.Good).Rfc3339Copy())
		}
		if !f.Next.IsZero() {
			s.NextFetchTime = new(metav1.NewTime(f.Next).Rfc3339Copy())
		}
		if why := f.trouble(); why != "" {
			s.Message = text.Truncate(strings.TrimPrefix(s.Message+"; "+why, "; "), maxSourceMessage)
		}
	}
	slices.SortFunc(all, func(a, b v1alpha1.SourceStatus) int { return cmp.Compare(a.Index, b.Index) })
	return all
}
