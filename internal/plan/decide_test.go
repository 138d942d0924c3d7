// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// scenario is one file of testdata: what is declared, what the node has, and behind "---" the plan.
type scenario struct {
	// Comment says what the scenario shows.
	Comment string              `json:"comment"`
	Spec    v1alpha1.BPFMapSpec `json:"spec"`
	// Applied says whether exactly this was applied completely before; Owned are the keys that an
	// earlier revision declared.
	Applied bool  `json:"applied"`
	Owned   []int `json:"owned"`
	// RecordedID, RecordedPrevious and RecordedPin are the record; no id means that there is none.
	RecordedID       uint32 `json:"recordedID"`
	RecordedPrevious uint32 `json:"recordedPrevious"`
	RecordedPin      string `json:"recordedPin"`
	Pinned           *found `json:"pinned"`
	Kept             *found `json:"kept"`
	Owner            string `json:"owner"`
	PinDiffers       bool   `json:"pinDiffers"`
	Incomplete       bool   `json:"incomplete"`
}

// found is a map in the kernel.
type found struct {
	ID         uint32            `json:"id"`
	Frozen     bool              `json:"frozen"`
	MaxEntries uint32            `json:"maxEntries"` // the declared ones if 0
	Type       v1alpha1.MapType  `json:"type"`       // the declared one if empty
	Holds      map[string]string `json:"holds"`      // "key": "value"
}

func (s *scenario) revision(t *testing.T) *revision.Revision {
	t.Helper()
	m := &v1alpha1.BPFMap{Spec: s.Spec}
	m.Namespace, m.Name = "edge", "table"
	rev, err := compile.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func (s *scenario) plan(t *testing.T) plan.Plan {
	t.Helper()
	rev := s.revision(t)
	observed := func(f *found) *plan.Observed {
		if f == nil {
			return nil
		}
		shape := rev.Shape
		if f.MaxEntries != 0 {
			shape.MaxEntries = f.MaxEntries
		}
		if f.Type != "" {
			shape.Type = f.Type
		}
		return &plan.Observed{ID: f.ID, Shape: shape, Frozen: f.Frozen}
	}
	want := plan.Want{Revision: rev, Fingerprint: rev.Fingerprint()}
	have := plan.Have{Pinned: observed(s.Pinned), Kept: observed(s.Kept), ElsewhereOwner: s.Owner, PinDiffers: s.PinDiffers}
	if s.RecordedID != 0 {
		have.Recorded = &plan.Recorded{MapID: s.RecordedID, PreviousMapID: s.RecordedPrevious, PinPath: rev.Pin.Path}
		if s.RecordedPin != "" {
			have.Recorded.PinPath = s.RecordedPin
		}
		if s.Applied {
			have.Recorded.Applied = want.Fingerprint
		}
	}
	desired := plan.Desired{Shape: rev.Shape, Sync: rev.Policy.Sync, Entries: rev.Contents.Flat(rev.Shape)}
	for _, b := range s.Owned {
		desired.Owned = append(desired.Owned, byte(b))
	}
	choice := plan.Choose(want, have)
	switch choice.Base {
	case plan.BaseNew:
		return choice.Finish(plan.Fill(desired))
	case plan.BasePinned:
		return choice.Finish(s.compare(t, rev, desired, s.Pinned))
	case plan.BaseKept:
		return choice.Finish(s.compare(t, rev, desired, s.Kept))
	}
	return choice.Finish(plan.Changes{})
}

func (s *scenario) compare(t *testing.T, rev *revision.Revision, want plan.Desired, f *found) plan.Changes {
	t.Helper()
	if want.Sync == v1alpha1.SyncSeed {
		return plan.Changes{}
	}
	d := plan.NewDiffer(want)
	for k, v := range f.Holds {
		d.Add(encode(t, rev.KeySchema, k), encode(t, &rev.ValueSchema, v))
	}
	return d.Changes(!s.Incomplete)
}

func layoutOf(t *testing.T, s *v1alpha1.Schema) *schema.Layout {
	t.Helper()
	if s == nil {
		return nil
	}
	l, err := schema.New(s)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func encode(t *testing.T, s *v1alpha1.Schema, text string) []byte {
	t.Helper()
	l := layoutOf(t, s)
	b := make([]byte, l.Size())
	if err := l.Encode(b, []byte(fmt.Sprintf("%q", text))); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestPlans compares the plan of every scenario in testdata with the text behind its "---".
func TestPlans(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d scenarios, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			given, want, _ := strings.Cut(string(text), "\n---\n")
			var s scenario
			if err := yaml.UnmarshalStrict([]byte(given), &s); err != nil {
				t.Fatal(err)
			}
			p := s.plan(t)
			rev := s.revision(t)
			var key plan.Formatter = plan.Hex{}
			if l := layoutOf(t, rev.KeySchema); l != nil {
				key = l
			}
			got := p.Text(key, layoutOf(t, &rev.ValueSchema))
			if *update {
				if err := os.WriteFile(file, []byte(given+"\n---\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
