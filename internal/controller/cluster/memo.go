// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/status"
)

// CompileFunc is compile.Compile, or something around it.
type CompileFunc func(*v1alpha1.BPFMap) (*revision.Revision, error)

// memo remembers what each generation of a spec compiled to, without the entries. A map of many
// entries is reconciled once for every report of every node, and compiled once.
type memo struct {
	build CompileFunc
	mu    sync.Mutex
	last  map[types.NamespacedName]remembered
}

type remembered struct {
	uid        types.UID
	generation int64
	outcome    outcome
	rejected   *status.Rejection
}

// outcome is a spec that compiled.
type outcome struct {
	build CompileFunc
	// fresh is nil when the outcome was remembered.
	fresh *revision.Revision
	// spec is the compiled form without entries.
	spec v1alpha1.BPFMapRevisionSpec
}

func newMemo(build CompileFunc) *memo {
	return &memo{build: build, last: map[types.NamespacedName]remembered{}}
}

// compile is what m's spec compiles to, or why it doesn't.
func (c *memo) compile(m *v1alpha1.BPFMap) (outcome, *status.Rejection) {
	name := client.ObjectKeyFromObject(m)
	c.mu.Lock()
	r, ok := c.last[name]
	c.mu.Unlock()
	if ok && r.uid == m.UID && r.generation == m.Generation {
		return r.outcome, r.rejected
	}
	r = remembered{uid: m.UID, generation: m.Generation, outcome: outcome{build: c.build}}
	fresh, err := c.build(m)
	if err != nil {
		r.rejected = rejection(err)
	} else {
		r.outcome.spec = revision.ToObject(fresh).Spec
		r.outcome.spec.Entries = nil
	}
	c.mu.Lock()
	c.last[name] = r
	c.mu.Unlock()
	r.outcome.fresh = fresh
	return r.outcome, r.rejected
}

// forget drops what is known of a deleted BPFMap.
func (c *memo) forget(name types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.last, name)
}

// revision is the whole compiled form, compiled again if only its outcome was remembered.
func (o outcome) revision(m *v1alpha1.BPFMap) (*revision.Revision, error) {
	if o.fresh != nil {
		return o.fresh, nil
	}
	return o.build(m)
}

func rejection(err error) *status.Rejection {
	r := &status.Rejection{Reason: v1alpha1.ReasonInvalidSpec, Message: err.Error()}
	var typed *compile.Error
	if errors.As(err, &typed) {
		r.Reason = typed.Reason
	}
	return r
}
