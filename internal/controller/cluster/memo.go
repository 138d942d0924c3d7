// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	recorders "github.com/bpfmap-io/bpfmap-operator/internal/metrics"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/status"
)

// memo remembers what each generation of a spec and each state of its sources compiled to, without the
// entries. A map of many entries is reconciled once for every report of every node, and compiled once.
type memo struct {
	build recorders.CompileFunc
	cache *compile.Cache
	mu    sync.Mutex
	last  map[types.NamespacedName]remembered
}

type remembered struct {
	uid        types.UID
	generation int64
	sources    string
	outcome    outcome
	rejected   *status.Rejection
}

// outcome is a spec that compiled.
type outcome struct {
	again func(*v1alpha1.BPFMap) (*revision.Revision, error)
	// fresh is nil when the outcome was remembered.
	fresh *revision.Revision
	// object is an earlier revision instead; nil for a compiled one.
	object *v1alpha1.BPFMapRevision
	// spec is the compiled form without entries.
	spec v1alpha1.BPFMapRevisionSpec
}

func newMemo(build recorders.CompileFunc) *memo {
	return &memo{build: build, cache: compile.NewCache(), last: map[types.NamespacedName]remembered{}}
}

// compile is what m's spec and sources compile to, or why they don't. The error is a source that can't
// be read for now.
func (c *memo) compile(m *v1alpha1.BPFMap, sources []compile.Source) (outcome, *status.Rejection, error) {
	name := client.ObjectKeyFromObject(m)
	c.mu.Lock()
	r, ok := c.last[name]
	c.mu.Unlock()
	state := stateOf(sources)
	if ok && r.uid == m.UID && r.generation == m.Generation && r.sources == state {
		return r.outcome, r.rejected, nil
	}
	build := func(m *v1alpha1.BPFMap) (*revision.Revision, error) { return c.build(m, sources, c.cache) }
	r = remembered{uid: m.UID, generation: m.Generation, sources: state, outcome: outcome{again: build}}
	fresh, err := build(m)
	var unread *compile.LoadError
	switch {
	case errors.As(err, &unread):
		return outcome{}, nil, err
	case err != nil:
		r.rejected = rejection(err)
	default:
		r.outcome.spec = revision.ToObject(fresh).Spec
	}
	c.mu.Lock()
	c.last[name] = r
	c.mu.Unlock()
	r.outcome.fresh = fresh
	return r.outcome, r.rejected, nil
}

// stateOf identifies what the sources hold.
func stateOf(sources []compile.Source) string {
	var b strings.Builder
	for i := range sources {
		fmt.Fprintf(&b, "%d %q %q %v\n", sources[i].Index, sources[i].Name, sources[i].Version, sources[i].Err)
	}
	return b.String()
}

// forget drops what is known of a deleted BPFMap.
func (c *memo) forget(name types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.last, name)
	c.cache.Forget(revision.Key{Namespace: name.Namespace, Name: name.Name})
}

// objects are the API objects of the outcome as revision number n.
func (o outcome) objects(m *v1alpha1.BPFMap, n int64) (*v1alpha1.BPFMapRevision, []*revision.Part, error) {
	name := fmt.Sprintf("%s-%d", m.Name, n)
	if o.object != nil {
		object := &v1alpha1.BPFMapRevision{Spec: *o.object.Spec.DeepCopy()}
		object.Namespace, object.Name, object.Spec.Number = m.Namespace, name, n
		return object, nil, nil
	}
	rev, err := o.revision(m)
	if err != nil {
		return nil, nil, fmt.Errorf("compile again: %w", err)
	}
	rev.Name, rev.Number = name, n
	object, chunks := revision.ToObjects(rev)
	return object, chunks, nil
}

// revision is the whole compiled form, compiled again if only its outcome was remembered.
func (o outcome) revision(m *v1alpha1.BPFMap) (*revision.Revision, error) {
	if o.fresh != nil {
		return o.fresh, nil
	}
	return o.again(m)
}

func rejection(err error) *status.Rejection {
	r := &status.Rejection{Reason: v1alpha1.ReasonInvalidSpec, Message: err.Error()}
	var typed *compile.Error
	if errors.As(err, &typed) {
		r.Reason = typed.Reason
	}
	return r
}
