// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"reflect"
	"slices"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/internal/manifest"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// kept is a map of apply --watch.
type kept struct {
	// declared is the last manifest that could be used.
	declared
	// next is when the next of its entries expires, zero for never.
	next time.Time
	// held says that there is a newer manifest, or may be one, which can't be used.
	held bool
	// todo says that the map is to be brought to the manifest, and tell that it is said even if nothing was to be done.
	todo, tell bool
	// failures counts those in a row, and retry is when it is tried again after one.
	failures int
	retry    time.Time
	// said is what was said of it last, if it isn't as declared.
	said string
}

// accept makes what was read the contents that maps are to hold. A map whose manifest can't be used keeps its contents;
// one that no manifest declares any more stays as it is, and is left alone.
func (w *watching) accept(in *intake) {
	old := w.keptInOrder()
	in.refuseConflicts(old)
	w.say.isWrong(in.wrong)
	before := w.kept
	w.kept, w.order = map[revision.Key]*kept{}, nil
	for _, key := range in.order {
		if k := in.fresh[key]; !in.held[k.Name()] {
			w.keep(key, k.after(before[key]))
		}
	}
	for _, k := range old {
		key := k.rev.Key
		switch {
		case w.kept[key] != nil:
		case in.isHeld(k):
			k.held, k.next = true, time.Time{} // there is nothing to compile anew
			w.keep(key, k)
		default:
			w.cache.Forget(key)
			w.say.done(id(key) + " is in no manifest any more: the map stays as it is, and is left alone (bpfmap delete removes it)")
		}
	}
	places := make(map[revision.Key]int, len(in.order)) // the maps whose manifests can't be used come first
	for i, key := range in.order {
		places[key] = i + 1
	}
	slices.SortStableFunc(w.order, func(a, b revision.Key) int { return places[a] - places[b] })
}

func (w *watching) keep(key revision.Key, k *kept) {
	w.kept[key] = k
	w.order = append(w.order, key)
}

func (w *watching) keptInOrder() []*kept {
	all := make([]*kept, len(w.order))
	for i, key := range w.order {
		all[i] = w.kept[key]
	}
	return all
}

// after is k in the place of what the map was to hold before.
func (k *kept) after(was *kept) *kept {
	switch {
	case was == nil:
		k.todo, k.tell = true, true
	case sameRevision(was.rev, k.rev):
		k.rev = was.rev // the engine knows this one
		k.todo, k.tell = was.todo || was.held, was.tell || was.held
		k.failures, k.retry, k.said = was.failures, was.retry, was.said
	default:
		k.todo, k.said = true, was.said
	}
	return k
}

// sameRevision says whether two revisions leave the same map and the same record behind.
func sameRevision(a, b *revision.Revision) bool {
	return a.Fingerprint() == b.Fingerprint() && a.Sensitive == b.Sensitive && reflect.DeepEqual(a.Group, b.Group) &&
		reflect.DeepEqual(a.KeySchema, b.KeySchema) && reflect.DeepEqual(a.ValueSchema, b.ValueSchema)
}

// refuseConflicts holds the maps whose manifests contradict each other, and groups of which not all can be used.
func (in *intake) refuseConflicts(before []*kept) {
	_, conflicts := refusePinConflicts(in.candidates(before))
	in.add(conflicts...)
	candidates := in.candidates(before)
	for _, p := range refuseGroups(candidates) {
		in.add(p)
	}
	culprits := map[string]string{} // by group
	for name := range in.held {
		if g := in.groups[name]; g != "" && (culprits[g] == "" || name < culprits[g]) {
			culprits[g] = name
		}
	}
	for _, k := range before {
		if g := groupID(k.declared); g != "" && in.isHeld(k) && culprits[g] == "" {
			culprits[g] = k.Name()
		}
	}
	for _, d := range candidates {
		if culprit := culprits[groupID(d)]; culprit != "" && !in.held[d.Name()] {
			in.add(manifest.Problem{
				Place: d.At("spec.group"), Object: d.Name(), Path: "spec.group",
				Message: "waits for the manifest of " + culprit + ", which can't be used: maps of a group change together",
			})
		}
	}
}

// candidates are what the maps would hold: by the new manifests, and by the old ones of those that can't be used.
func (in *intake) candidates(before []*kept) []declared {
	var all []declared
	for _, key := range in.order {
		if k := in.fresh[key]; !in.held[k.Name()] {
			all = append(all, k.declared)
		}
	}
	for _, k := range before {
		if in.fresh[k.rev.Key] == nil && in.isHeld(k) || in.held[k.Name()] {
			all = append(all, k.declared)
		}
	}
	return all
}
