// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
	"github.com/bpfmap-io/bpfmap-operator/test/golden"
)

// scenario is one file of testdata: what is declared, what the node has, and behind "---" what was asked for
// and the plan.
type scenario struct {
	// Comment says what the scenario shows.
	Comment string              `json:"comment"`
	Spec    v1alpha1.BPFMapSpec `json:"spec"`
	// Applied says whether exactly this was applied completely before; Owned are the keys that an
	// earlier revision declared.
	Applied bool  `json:"applied"`
	Owned   []int `json:"owned"`
	// Last are the entries, "key": "value", that this process brought to the map last.
	Last map[string]string `json:"last"`
	// Pending are the indexes of entries that name something absent.
	Pending []int `json:"pending"`
	// RecordedID, RecordedPrevious and RecordedPin are the record; no id means that there is none.
	RecordedID       uint32 `json:"recordedID"`
	RecordedPrevious uint32 `json:"recordedPrevious"`
	RecordedPin      string `json:"recordedPin"`
	// Written says that the recorded contents are the declared ones, though maybe not completely applied.
	Written    bool   `json:"written"`
	Pinned     *found `json:"pinned"`
	KeepAlive  *found `json:"keepAlive"`
	OwnerOfPin string `json:"ownerOfPin"`
	OwnerOfMap string `json:"ownerOfMap"`
	PinDiffers bool   `json:"pinDiffers"`
	Incomplete bool   `json:"incomplete"`
	// Explain says that people ask.
	Explain bool `json:"explain"`
	// Misfit, Suspicion and Verified are how the schemas fit the map; Unchecked says that the record doesn't tell.
	Misfit    string                      `json:"misfit"`
	Suspicion string                      `json:"suspicion"`
	Verified  v1alpha1.SchemaVerification `json:"verified"`
	Unchecked bool                        `json:"unchecked"`
	// Losses and NoPlace are what would be lost; Refusal is what the memory limits say.
	Losses  int     `json:"losses"`
	NoPlace *uint32 `json:"noPlace"`
	Refusal string  `json:"refusal"`
}

// found is a map in the kernel.
type found struct {
	ID         uint32            `json:"id"`
	Frozen     bool              `json:"frozen"`
	Adopted    bool              `json:"adopted"`    // of a map of ours
	MaxEntries uint32            `json:"maxEntries"` // the declared ones if 0
	ValueSize  uint32            `json:"valueSize"`  // the declared one if 0
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

// world is what the node of a scenario shows, and answers what is asked.
type world struct {
	*scenario
	rev    *revision.Revision
	want   plan.DesiredMap
	have   plan.Observed
	wanted plan.DesiredContents
}

func (s *scenario) world(t *testing.T) *world {
	t.Helper()
	rev := s.revision(t)
	observed := func(f *found) *plan.Map {
		if f == nil {
			return nil
		}
		shape := rev.Shape
		if f.MaxEntries != 0 {
			shape.MaxEntries = f.MaxEntries
		}
		if f.ValueSize != 0 {
			shape.ValueSize = f.ValueSize
		}
		if f.Type != "" {
			shape.Type = f.Type
		}
		return &plan.Map{ID: f.ID, Shape: shape, Frozen: f.Frozen, Adopted: f.Adopted}
	}
	declared := &flat{shape: rev.Shape, e: rev.Contents.Flat(rev.Shape)}
	for _, i := range s.Pending {
		declared.pending.Add(i)
	}
	w := &world{scenario: s, rev: rev}
	w.want = plan.DesiredMap{Revision: rev, Fingerprint: rev.Fingerprint(), Contents: declared, CPUs: 1}
	w.want.Pin, w.want.Explain = rev.Pin, s.Explain
	w.have = plan.Observed{Pinned: observed(s.Pinned), KeepAlive: observed(s.KeepAlive), Found: rev.Pin}
	if s.PinDiffers {
		w.have.Found.Mode = 0o644
	}
	if s.RecordedID != 0 {
		w.have.Recorded = &plan.Recorded{MapID: s.RecordedID, PreviousMapID: s.RecordedPrevious, PinPath: rev.Pin.Path, Checked: !s.Unchecked}
		if s.RecordedPin != "" {
			w.have.Recorded.PinPath = s.RecordedPin
		}
		if s.Applied {
			w.have.Recorded.Applied = w.want.Fingerprint
		}
		if s.Written {
			w.have.Recorded.Digest = rev.Digest
		}
	}
	if s.Last != nil {
		w.have.Recorded.Applied = "last"
		w.have.Last = &plan.Applied{Fingerprint: "last", MapID: s.RecordedID, Shape: rev.Shape, Policy: rev.Policy}
	}
	w.wanted = plan.DesiredContents{Contents: declared, Shape: rev.Shape, Sync: rev.Policy.Sync}
	if s.Owned != nil {
		var owned []byte
		for _, k := range s.Owned {
			owned = append(owned, encode(t, rev.KeySchema, strconv.Itoa(k))...)
		}
		w.wanted.Owned = keys{owned, int(rev.Shape.KeySize)}
	}
	return w
}

// plan makes the plan, and says what was asked for on the way.
func (w *world) plan(t *testing.T) (p plan.Plan, asked string) {
	t.Helper()
	for range 10 {
		p, need := plan.Decide(&w.want, &w.have)
		if need.What == plan.NeedNothing {
			return p, asked
		}
		asked += need.String() + "\n"
		w.answer(t, need)
	}
	t.Fatalf("the plan keeps asking:\n%s", asked)
	return p, ""
}

func (w *world) answer(t *testing.T, need plan.Need) {
	t.Helper()
	of := map[plan.Base]*found{plan.BasePinned: w.Pinned, plan.BaseKeepAlive: w.KeepAlive}[need.Of]
	var changes plan.Changes
	switch need.What {
	case plan.NeedOwners:
		w.have.Owners = &plan.Owners{OfPin: w.OwnerOfPin, OfMap: w.OwnerOfMap}
		return
	case plan.NeedFit:
		w.have.Fit = &plan.Fit{Verified: w.Verified, Misfit: w.Misfit, Suspicion: w.Suspicion}
		if w.Misfit != "" {
			w.have.Fit.Layouts = "value:\n byte  size  declared\n"
		}
		return
	case plan.NeedLosses:
		w.have.Losses = &plan.Losses{Elements: w.Losses, NoPlace: w.NoPlace}
		return
	case plan.NeedMemory:
		w.have.Memory = &plan.Memory{Refusal: w.Refusal}
		return
	case plan.NeedComparison:
		changes = w.compare(t, of)
	case plan.NeedDifference:
		n := int64(len(w.Last))
		changes = plan.Between(w.wanted, w.entries(t, w.Last), &n)
	case plan.NeedBlindWrite:
		changes = plan.BlindWrite(w.wanted)
	case plan.NeedQuestions:
		changes = plan.Changes{Contents: w.wanted.Contents, Shape: w.rev.Shape}
		for i := range w.rev.Contents.Len {
			if _, holds := of.Holds[layoutOf(t, &w.rev.ValueSchema).Format(w.wanted.AppendValue(nil, i))]; !holds {
				changes.Insert.Add(i)
			}
		}
	}
	w.have.Changes = &changes
}

func (w *world) compare(t *testing.T, f *found) plan.Changes {
	t.Helper()
	d := plan.NewDiffer(w.wanted, 0)
	for k, v := range f.Holds {
		d.Observe(encode(t, w.rev.KeySchema, k), encode(t, &w.rev.ValueSchema, v))
	}
	return d.Changes(!w.Incomplete)
}

// entries are those of a map from keys to values.
func (w *world) entries(t *testing.T, all map[string]string) *flat {
	t.Helper()
	e := revision.Entries{KeySize: int(w.rev.Shape.KeySize), ValueSize: int(w.rev.Shape.ValueSize)}
	for k, v := range all {
		e.Append(encode(t, w.rev.KeySchema, k), encode(t, &w.rev.ValueSchema, v), false)
	}
	sorted, _ := e.Sorted(w.rev.Shape)
	return &flat{shape: w.rev.Shape, e: sorted}
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
			given, _, _ := strings.Cut(string(text), "\n---\n")
			var s scenario
			if err := yaml.UnmarshalStrict([]byte(given), &s); err != nil {
				t.Fatal(err)
			}
			p, asked := s.world(t).plan(t)
			rev := s.revision(t)
			var key, value plan.Formatter = plan.Hex{}, plan.Hex{}
			if l := layoutOf(t, rev.KeySchema); l != nil {
				key = l
			}
			if rev.Shape.ValueSize > 0 {
				value = layoutOf(t, &rev.ValueSchema)
			}
			got := asked + "---\n" + p.Text(key, value)
			golden.Equal(t, file, given+"\n---\n"+got)
		})
	}
}
