// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// TestBelievable: a cache is believed only where it leads forward from what the node holds.
func TestBelievable(t *testing.T) {
	began := time.Unix(10000, 0)
	rev := func(uid types.UID, number int64, age time.Duration) choice {
		r := &v1alpha1.BPFMapRevision{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(began.Add(age))}}
		r.Spec.MapUID, r.Spec.Number = string(uid), number
		return choice{wanted: r, shown: true}
	}
	held := holding{uid: "u", number: 2, present: true}
	unsure := held
	unsure.unsure = true
	removed := held
	removed.present = false
	for what, c := range map[string]struct {
		h     holding
		c     choice
		again bool
		want  bool
	}{
		"the same":                  {held, rev("u", 2, 0), true, true},
		"a newer one":               {held, rev("u", 3, 0), true, true},
		"a lower one":               {held, rev("u", 1, 0), true, false},
		"another BPFMap's":          {held, rev("v", 3, 0), true, false},
		"none":                      {held, choice{shown: true}, true, false},
		"none, and nothing is held": {holding{}, choice{}, true, true},
		"what was removed":          {removed, rev("u", 2, 0), true, false},
		"the first decision, older than this process": {unsure, rev("u", 3, -time.Hour), true, false},
		"the first decision, made after it began":     {unsure, rev("u", 3, time.Hour), true, true},
		"nothing known, an agent was here before":     {holding{unsure: true}, rev("u", 1, -time.Hour), true, false},
		"nothing known, maps were here before":        {holding{unsure: true, again: true}, rev("u", 1, -time.Hour), false, false},
		"nothing known, the first agent":              {holding{unsure: true}, rev("u", 1, -time.Hour), false, true},
	} {
		if got := c.h.believable(c.c, tenure{began, c.again}); got != c.want {
			t.Errorf("%s: believed %t, want %t", what, got, c.want)
		}
	}
}

// TestRemovalDecidesNothing: after a removal a cache may show what an earlier agent removed.
func TestRemovalDecidesNothing(t *testing.T) {
	h, key := &holdings{known: map[revision.Key]holding{}}, revision.Key{Namespace: "edge", Name: "foo"}
	rev := &v1alpha1.BPFMapRevision{}
	rev.Name, rev.Spec.MapUID, rev.Spec.Number = "foo-1", "u", 1
	h.takes(key, rev)
	if found, err := h.of(t.Context(), nil, key); err != nil || found.unsure || !found.present {
		t.Errorf("taken: %+v, %v", found, err)
	}
	h.gone(key, false)
	if found, err := h.of(t.Context(), nil, key); err != nil || !found.unsure || found.present || !found.again {
		t.Errorf("gone: %+v, %v", found, err)
	}
}
