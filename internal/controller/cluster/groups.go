// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/status"
)

// indexGroup finds the BPFMaps of a group.
const indexGroup = "spec.group"

func groupOf(o client.Object) []string {
	if g := o.(*v1alpha1.BPFMap).Spec.Group; g != "" {
		return []string{g}
	}
	return nil
}

// settleGroup is how long the layouts of a group have to stay as they are before revisions are made of them. People and
// tools apply the manifests of a program one after the other; what comes within this time of each other belongs together.
const settleGroup = 3 * time.Second

// groups remember since when the layouts of each group are what they are, and those of single specs. It is safe for
// concurrent use.
type groups struct {
	mu      sync.Mutex
	since   *lru.Cache // of groupState, by namespace and name of the group
	layouts *lru.Cache // of specLayout, by name of the BPFMap
}

type groupState struct {
	layouts sum
	since   time.Time
}

type specLayout struct {
	uid        types.UID
	generation int64
	layout     string
	problem    string
}

func newGroups() *groups { return &groups{since: lru.New(maxCompiled), layouts: lru.New(maxCompiled)} }

// settled is how long ago the layouts of a group became what they are.
func (g *groups) settled(name types.NamespacedName, layouts sum, now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	found, _ := g.since.Get(name)
	state, ok := found.(groupState)
	if !ok || state.layouts != layouts {
		state = groupState{layouts, now}
		g.since.Add(name, state)
	}
	return now.Sub(state.since)
}

// member is a BPFMap of a group as its spec declares it.
type member struct {
	m *v1alpha1.BPFMap
	// layout is that of its map; empty if problem says why it isn't known.
	layout, problem string
}

// unlessHeld is a step that isn't taken while a new revision waits for others.
func unlessHeld(step func(context.Context, *scope) error) func(context.Context, *scope) error {
	return func(ctx context.Context, s *scope) error {
		if s.held != "" {
			return nil
		}
		return step(ctx, s)
	}
}

// join finds out which layouts belong together with that of the next revision, or what that has to wait for. A revision
// with another layout waits until the layouts of the whole group are known and nobody has changed one for a while.
func (r *reconciler) join(ctx context.Context, s *scope) error {
	if s.m.Spec.Group == "" || s.want == nil {
		return nil
	}
	members, err := r.membersOf(ctx, s.m)
	if err != nil {
		return err
	}
	now := describeGroup(s.m.Spec.Group, members)
	if len(members) > len(now.Members) {
		s.reject(&status.Rejection{Reason: v1alpha1.ReasonInvalidGroup, Message: fmt.Sprintf(
			"spec.group: group %s has %d BPFMaps already, the most that are possible: take this one out of the group, or another one, or make two groups",
			s.m.Spec.Group, v1alpha1.MaxGroupMembers)})
		return nil
	}
	wait := settleGroup - r.groups.settled(types.NamespacedName{Namespace: s.name.Namespace, Name: s.m.Spec.Group}, sumOf(now, members), r.now())
	last := s.lastGroup()
	unknown := unknownIn(members)
	if wait > 0 || unknown != "" {
		if wait > 0 {
			s.lookAgainIn(wait)
			s.undecided = unknown == "" && isRefused(s.m)
		}
		if last != nil && (s.changesNothing(last) || s.changesContentsOnly(last)) {
			s.want.join(last)
			return nil
		}
		s.held = cmp.Or(unknown, fmt.Sprintf("waits until the layouts of group %s have not changed for %s", s.m.Spec.Group, settleGroup))
		return nil
	}
	if why := misfit(s.m, members); why != "" {
		s.reject(&status.Rejection{Reason: v1alpha1.ReasonInvalidGroup, Message: why})
		return nil
	}
	if now.Attempt, err = r.attempt(ctx, s, now); err != nil {
		return err
	}
	s.want.join(now)
	if s.creates() && s.m.Spec.RollbackTo != "" {
		return r.readEarlier(ctx, s.want, types.NamespacedName{Namespace: s.name.Namespace, Name: s.m.Spec.RollbackTo})
	}
	return nil
}

// isRefused says whether the status tells of the present spec that it isn't accepted.
func isRefused(m *v1alpha1.BPFMap) bool {
	c := meta.FindStatusCondition(m.Status.Conditions, v1alpha1.ConditionAccepted)
	return c != nil && c.Status == metav1.ConditionFalse && c.ObservedGeneration == m.Generation
}

// changesNothing says whether the newest revision, of this group, is what is wanted: there is nothing that could wait.
func (s *scope) changesNothing(last *v1alpha1.RevisionGroup) bool {
	return inGroup(s.want.identity, last) == identify(s.own[len(s.own)-1].Spec)
}

// changesContentsOnly says whether what is wanted concerns nobody else in the group of the newest revision.
func (s *scope) changesContentsOnly(last *v1alpha1.RevisionGroup) bool {
	newest := &s.own[len(s.own)-1]
	return layoutIn(last, s.name.Name) == s.want.layout && maps.Equal(s.m.Spec.NodeSelector, newest.Spec.NodeSelector) &&
		newest.Status.Rollout.RolledBack == ""
}

// join makes what is wanted a part of a group.
func (c *compiled) join(g *v1alpha1.RevisionGroup) {
	c.group = g
	c.identity = inGroup(c.identity, g)
}

// inGroup is the identity of a revision that belongs to a group; that of others stays as it is.
func inGroup(identity sum, g *v1alpha1.RevisionGroup) sum {
	if g == nil {
		return identity
	}
	text, err := json.Marshal(g)
	if err != nil {
		panic(fmt.Sprintf("identify a group: %v", err)) // plain data always marshals
	}
	return sha256.Sum256(append(identity[:], text...))
}

// membersOf are the BPFMaps of the group of one of them, by name.
func (r *reconciler) membersOf(ctx context.Context, of *v1alpha1.BPFMap) ([]member, error) {
	var list v1alpha1.BPFMapList
	err := r.client.List(ctx, &list, client.InNamespace(of.Namespace), client.MatchingFields{indexGroup: of.Spec.Group}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("list the BPFMaps of group %s: %w", of.Spec.Group, err)
	}
	var members []member
	for i := range list.Items {
		m := &list.Items[i]
		if !m.DeletionTimestamp.IsZero() {
			continue
		}
		if m.Name == of.Name {
			m = of
		}
		one, err := r.layoutOf(ctx, m)
		if err != nil {
			return nil, err
		}
		members = append(members, one)
	}
	// Of too many, the first ones stay.
	slices.SortFunc(members, func(a, b member) int {
		return cmp.Or(a.m.CreationTimestamp.Compare(b.m.CreationTimestamp.Time), strings.Compare(a.m.Name, b.m.Name))
	})
	isOf := func(m member) bool { return m.m.Name == of.Name }
	bound := min(len(members), v1alpha1.MaxGroupMembers)
	kept, rest := members[:bound:bound], members[bound:]
	slices.SortFunc(kept, func(a, b member) int { return strings.Compare(a.m.Name, b.m.Name) })
	if i := slices.IndexFunc(rest, isOf); i >= 0 {
		return append(kept, rest[i]), nil // for which there is no room
	}
	return kept, nil
}

// layoutOf is the layout that a spec declares, or that of the revision which it goes back to.
func (r *reconciler) layoutOf(ctx context.Context, m *v1alpha1.BPFMap) (member, error) {
	name := client.ObjectKeyFromObject(m)
	if m.Spec.RollbackTo != "" {
		rev := &v1alpha1.BPFMapRevision{}
		err := r.client.Get(ctx, types.NamespacedName{Namespace: m.Namespace, Name: m.Spec.RollbackTo}, rev, client.UnsafeDisableDeepCopy)
		switch {
		case apierrors.IsNotFound(err):
			return member{m: m, problem: "revision " + m.Spec.RollbackTo + " (spec.rollbackTo) does not exist"}, nil
		case err != nil:
			return member{}, fmt.Errorf("get revision %s: %w", m.Spec.RollbackTo, err)
		}
		return member{m: m, layout: revision.Layout(&rev.Spec)}, nil
	}
	r.groups.mu.Lock()
	defer r.groups.mu.Unlock()
	found, _ := r.groups.layouts.Get(name)
	known, ok := found.(specLayout)
	if !ok || known.uid != m.UID || known.generation != m.Generation {
		known = specLayout{uid: m.UID, generation: m.Generation}
		if outline, err := compile.Outline(m); err != nil {
			known.problem = rejection(err).Message
		} else {
			known.layout = revision.Layout(&revision.ToObject(outline).Spec)
		}
		r.groups.layouts.Add(name, known)
	}
	return member{m: m, layout: known.layout, problem: known.problem}, nil
}

// describeGroup is the group as revisions hold it.
func describeGroup(name string, members []member) *v1alpha1.RevisionGroup {
	g := &v1alpha1.RevisionGroup{Name: name}
	for i := range members[:min(len(members), v1alpha1.MaxGroupMembers)] {
		g.Members = append(g.Members, v1alpha1.GroupMember{Name: members[i].m.Name, Layout: members[i].layout})
	}
	return g
}

// sumOf tells apart what has to be the same for a while: layouts and selectors.
func sumOf(g *v1alpha1.RevisionGroup, members []member) sum {
	var text strings.Builder
	for i := range g.Members {
		fmt.Fprintf(&text, "%s\n", labels.Set(members[i].m.Spec.NodeSelector))
	}
	return inGroup(sha256.Sum256([]byte(text.String())), g)
}

// unknownIn says which member's layout isn't known; empty if all are.
func unknownIn(members []member) string {
	for i := range members {
		if why := members[i].problem; why != "" {
			return fmt.Sprintf("a new layout waits for BPFMap %s of its group, whose spec is not accepted: %s", members[i].m.Name, why)
		}
	}
	return ""
}

func layoutIn(g *v1alpha1.RevisionGroup, name string) string {
	for _, m := range g.Members {
		if m.Name == name {
			return m.Layout
		}
	}
	return ""
}

// lastGroup is the group of the newest revision, if that is of the same one; nil for none.
func (s *scope) lastGroup() *v1alpha1.RevisionGroup {
	if len(s.own) == 0 {
		return nil
	}
	g := s.own[len(s.own)-1].Spec.Group
	if g == nil || g.Name != s.m.Spec.Group {
		return nil
	}
	return g
}

// misfit says why a BPFMap can't be in its group; empty if it can.
func misfit(m *v1alpha1.BPFMap, members []member) string {
	for i := range members {
		if other := members[i].m; !maps.Equal(m.Spec.NodeSelector, other.Spec.NodeSelector) {
			return fmt.Sprintf("spec.nodeSelector: the BPFMaps of group %s are for the same nodes: %s selects %s, %s selects %s: make them alike, or take one out of the group",
				m.Spec.Group, m.Name, selection(m), other.Name, selection(other))
		}
	}
	return ""
}

func selection(m *v1alpha1.BPFMap) string {
	if len(m.Spec.NodeSelector) == 0 {
		return "all nodes"
	}
	return labels.Set(m.Spec.NodeSelector).String()
}
