// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/enginetest"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// theirs lets somebody else make a map of three elements, pinned with a mode and owner of their own.
func (w *wrecked) theirs(r *revision.Revision) engine.Map {
	w.Helper()
	at := *r
	at.Pin.Mode, at.Pin.GID = 0o640, 7
	m := w.foreign(&at, r.Shape)
	w.must(m.Write(w.Context(), []byte{7, 8, 9}, []byte{70, 80, 90}))
	return m
}

// pinIs wants a pin with mode and group.
func (w *wrecked) pinIs(r *revision.Revision, want string) {
	w.Helper()
	s, err := w.b.Open(w.Context(), revision.Key{Namespace: "nobody", Name: "x"}, &r.Pin)
	w.must(err)
	if s.Pinned != nil {
		w.must(s.Pinned.Close())
	}
	if got := fmt.Sprintf("%o %d:%d", s.Found.Mode, s.Found.UID, s.Found.GID); got != want {
		w.Errorf("the pin is %s, want %s", got, want)
	}
}

// TestSomebodysMap: whoever may pin where somebody else's map is can't empty it, open it, or take its pin away, unless
// the spec says each of that.
func TestSomebodysMap(t *testing.T) {
	onRigs(t, func(w *wrecked) {
		const at = "syncPolicy: Mirror, pin: {path: globals/table, mode: '0666'},"
		plain := hash(w.T, at, "1=10")
		theirs := w.id(w.theirs(plain))
		untouched := func() {
			w.Helper()
			w.holds(plain, "7=70 8=80 9=90")
			w.pinIs(plain, "640 0:7")
		}
		w.refused(w.sync(plain, stalled, engine.ActionNone), v1alpha1.NodeReasonAdoptionNotAllowed,
			fmt.Sprintf("map %d at pin globals/table", theirs), "adoptionPolicy: Adopt", "another spec.pin.path", "remove the pin")
		untouched()
		adopt := hash(w.T, "adoptionPolicy: Adopt,"+at, "1=10")
		w.refused(w.sync(adopt, stalled, engine.ActionNone), v1alpha1.NodeReasonAdoptionNotAllowed,
			"3 undeclared elements", "adoptionPolicy: AdoptAndDiscard", "syncPolicy: Merge")
		untouched()
		p, err := w.Plan(w.Context(), plain)
		w.must(err)
		for _, line := range []string{"stalled (AdoptionNotAllowed)", "loses 3 elements of others", "pin: mode 0640 → 0666", "+ 01 = 0a", "- 07"} {
			if !strings.Contains(p.String(), line) {
				w.Errorf("the plan doesn't say %q:\n%s", line, p.String())
			}
		}
		discard := hash(w.T, "adoptionPolicy: AdoptAndDiscard,"+at, "1=10")
		if report := w.ready(discard, engine.ActionAdopted); report.MapID != theirs || report.Origin != v1alpha1.OriginAdopted {
			w.Errorf("map %d, origin %q", report.MapID, report.Origin)
		}
		w.holds(plain, "1=10")
		w.pinIs(plain, "666 0:7")
		report := w.Remove(w.Context(), key)
		if report.Err != nil || report.Action != engine.ActionGivenBack || report.Message != "1 declared entry taken out; the pin is as it was found: mode 0666 → 0640" {
			w.Errorf("%+v", report)
		}
		w.holds(plain, "")
		w.pinIs(plain, "640 0:7")
	})
}

// TestGivenBack: deleting the BPFMap of an adopted map leaves everything but its own keys.
func TestGivenBack(t *testing.T) {
	onRigs(t, func(w *wrecked) {
		r := hash(w.T, "", "1=10", "2=20", "7=77")
		theirs := w.id(w.theirs(r))
		w.ready(r, engine.ActionAdopted)
		w.holds(r, "1=10 2=20 7=77 8=80 9=90")
		w.pinIs(r, "640 0:7") // nobody stated another one
		w.must(w.open(r).Write(w.Context(), []byte{3, 2}, []byte{30, 21}))
		if report := w.Remove(w.Context(), key); report.Err != nil || report.Action != engine.ActionGivenBack || report.MapID != theirs {
			w.Errorf("%+v", report)
		}
		w.holds(r, "3=30 8=80 9=90")
		w.pinIs(r, "640 0:7")
		if id := w.id(w.open(r)); id != theirs {
			w.Errorf("map %d is at the pin, was %d", id, theirs)
		}
		if report := w.Remove(w.Context(), key); report.Err != nil || report.Action != engine.ActionNone {
			w.Errorf("removed again: %+v", report)
		}
	})
}

// TestDeletionPolicies: what is said holds for maps of either origin, and the last revision says it.
func TestDeletionPolicies(t *testing.T) {
	for _, c := range []struct {
		adopted      bool
		first, last  string
		action       engine.Action
		holds, owner string
	}{
		{false, "", "", engine.ActionRemoved, "no map", "0 0:0"},
		{false, "", "GiveBack", engine.ActionGivenBack, "7=70", "600 0:0"},
		{false, "Retain", "Delete", engine.ActionRemoved, "no map", "0 0:0"},
		{true, "", "", engine.ActionGivenBack, "7=70 8=80 9=90", "640 0:7"},
		{true, "", "Retain", engine.ActionRetained, "1=10 7=70 8=80 9=90", "640 0:7"},
		{true, "", "Delete", engine.ActionRemoved, "no map", "0 0:0"},
		{true, "Delete", "GiveBack", engine.ActionGivenBack, "7=70 8=80 9=90", "640 0:7"},
	} {
		onRigs(t, func(w *wrecked) {
			spec := func(policy string) *revision.Revision {
				if policy != "" {
					policy = "deletionPolicy: " + policy + ","
				}
				return hash(w.T, policy, "1=10")
			}
			first, action := spec(c.first), engine.ActionCreated
			if c.adopted {
				w.theirs(first)
				action = engine.ActionAdopted
			}
			w.ready(first, action)
			if !c.adopted {
				w.must(w.open(first).Write(w.Context(), []byte{7}, []byte{70}))
			}
			if report := w.Sync(w.Context(), spec(c.last)); report.State != ready {
				w.Fatalf("%+v", report)
			}
			if report := w.Remove(w.Context(), key); report.Err != nil || report.Action != c.action {
				w.Errorf("%+v: %+v", c, report)
			}
			w.holds(first, c.holds)
			w.pinIs(first, c.owner)
		})
	}
}

// TestOwnerOfPinsThatOthersChange: what others set since stays; what was stated and isn't any more goes back.
func TestOwnerOfPinsThatOthersChange(t *testing.T) {
	onRigs(t, func(w *wrecked) {
		r := hash(w.T, "", "1=10")
		w.theirs(r)
		w.ready(r, engine.ActionAdopted)
		w.must(w.rig.chmod(r.Pin.Path, 0o666))
		w.ready(r, engine.ActionNone)
		w.pinIs(r, "666 0:7")
		stated := hash(w.T, "pin: {mode: '0600', uid: 0},", "1=10")
		w.ready(stated, engine.ActionUpdated)
		w.pinIs(r, "600 0:7")
		w.ready(r, engine.ActionUpdated)
		w.pinIs(r, "666 0:7")
		w.ready(stated, engine.ActionUpdated)
		w.must(w.Remove(w.Context(), key).Err)
		w.pinIs(r, "666 0:7")
	})
}

// TestGivenBackArray: an array can't lose an element, so ours become zero, and what programs own of them stays.
func TestGivenBackArray(t *testing.T) {
	onRigs(t, func(w *wrecked) {
		const array = "{type: Array, maxEntries: 4, value: {fields: [{name: action, type: u8}, {name: hits, type: u8, owner: Program}]}, deletionPolicy: GiveBack"
		r := table(w.T, array, "0={action: 1}", "1={action: 2}")
		w.ready(r, engine.ActionCreated)
		w.must(w.open(r).Write(w.Context(), []byte{1, 0, 0, 0, 3, 0, 0, 0}, []byte{2, 200, 3, 100}))
		w.must(w.Remove(w.Context(), key).Err)
		w.holds(r, "0={action: 0, hits: 0} 1={action: 0, hits: 200} 2={action: 0, hits: 0} 3={action: 3, hits: 100}")
	})
}

// TestGivenBackFrozen: nobody can take anything out of a frozen map, which is told, and holds nothing up.
func TestGivenBackFrozen(t *testing.T) {
	onRigs(t, func(w *wrecked) {
		r := hash(w.T, "freeze: true,", "1=10")
		w.theirs(r)
		w.ready(r, engine.ActionAdopted)
		if report := w.Remove(w.Context(), key); report.Err != nil || report.Message != "the map is frozen, so 1 declared entry stays" {
			w.Errorf("%+v", report)
		}
		w.holds(r, "1=10 7=70 8=80 9=90")
	})
}

// TestMovedAwayFromAnAdoptedPin: the pin that the map was found at stays, and the one that we made goes in the end.
func TestMovedAwayFromAnAdoptedPin(t *testing.T) {
	onRigs(t, func(w *wrecked) {
		r, moved := hash(w.T, "", "1=10"), hash(w.T, "pin: {path: globals/table},", "1=10")
		theirs := w.id(w.theirs(r))
		w.ready(r, engine.ActionAdopted)
		w.ready(moved, engine.ActionUpdated)
		w.holds(moved, "1=10 7=70 8=80 9=90")
		w.must(w.Remove(w.Context(), key).Err)
		w.holds(moved, "no map")
		w.holds(r, "7=70 8=80 9=90")
		w.pinIs(r, "640 0:7")
		if id := w.id(w.open(r)); id != theirs {
			w.Errorf("map %d is at the pin, was %d", id, theirs)
		}
	})
}

// TestGivingBackCutOff: whichever call was the last one, the next removal ends what the first one began, and leaves what
// others wrote in between once the record says that it isn't ours any more.
func TestGivingBackCutOff(t *testing.T) {
	for hit, call := true, 0; hit; call += stride {
		hit = false
		onRigs(t, func(w *wrecked) {
			r := hash(w.T, "pin: {mode: '0666'},", "1=10", "2=20")
			w.theirs(r)
			w.ready(r, engine.ActionAdopted)
			dying := &enginetest.Faulty{Backend: w.b, Fault: enginetest.Fault{Call: call, Err: syscall.EIO, Dead: true}}
			engine.New(dying, engine.Options{}).Remove(w.Context(), key)
			hit = hit || dying.Hit() != ""
			want := "7=70 8=80 9=90"
			if records, err := w.Records(w.Context()); err != nil || len(records) == 0 || records[0].Keys.LogBytes() == 0 {
				w.must(err)
				w.must(w.open(r).Write(w.Context(), []byte{2}, []byte{22}))
				want = "2=22 " + want
			}
			w.must(w.Remove(w.Context(), key).Err)
			w.holds(r, want)
			w.pinIs(r, "640 0:7")
			if records, err := w.Records(w.Context()); err != nil || len(records) > 0 {
				w.Errorf("dead at call %d: %v, %v", call, records, err)
			}
		})
	}
}

// TestDeclaredAgainWhileGivenBack: the keys that were taken out are put in again, and that isn't drift.
func TestDeclaredAgainWhileGivenBack(t *testing.T) {
	for hit, call := true, 0; hit; call += stride {
		hit = false
		onRigs(t, func(w *wrecked) {
			r := hash(w.T, "", "1=10", "2=20")
			w.theirs(r)
			w.ready(r, engine.ActionAdopted)
			dying := &enginetest.Faulty{Backend: w.b, Fault: enginetest.Fault{Call: call, Err: syscall.EIO, Dead: true}}
			engine.New(dying, engine.Options{}).Remove(w.Context(), key)
			hit = hit || dying.Hit() != ""
			if report := w.Sync(w.Context(), r); report.State != ready || report.Drift != nil {
				w.Errorf("dead at call %d: %+v", call, report)
			}
			w.holds(r, "1=10 2=20 7=70 8=80 9=90")
		})
	}
}

// TestManyKeysGivenBack: the record follows while keys are taken out.
func TestManyKeysGivenBack(t *testing.T) {
	onRigs(t, func(w *wrecked) {
		const n = 150_000
		entries := revision.Entries{KeySize: 4, ValueSize: 1}
		r := rev(w.T, fmt.Sprintf("{type: Hash, key: {type: u32}, value: {type: u8}, maxEntries: %d, deletionPolicy: GiveBack}", n+1))
		for i := range uint32(n) {
			entries.Append(binary.NativeEndian.AppendUint32(nil, i), []byte{1}, false)
		}
		var err error
		r.Contents, err = revision.NewContents(r.Shape, &entries)
		w.must(err)
		r.Digest = r.ContentDigest()
		w.sync(r, ready, engine.ActionCreated)
		w.must(w.open(r).Write(w.Context(), binary.NativeEndian.AppendUint32(nil, n), []byte{2}))
		for call := 4; ; call += 2 {
			dying := &enginetest.Faulty{Backend: w.b, Fault: enginetest.Fault{Call: call, Err: syscall.EIO, Dead: true}}
			if report := engine.New(dying, engine.Options{}).Remove(w.Context(), key); report.Err == nil {
				break
			}
		}
		w.holds(r, fmt.Sprintf("%d=2", n))
	})
}

// TestRecordsThatDoNotTell: of the map of an earlier release's record nobody knows who made it, so its pin stays unless
// the policy says otherwise, and what it was brought to goes on.
func TestRecordsThatDoNotTell(t *testing.T) {
	onRigs(t, func(w *wrecked) {
		r := hash(w.T, "syncPolicy: Mirror, pin: {path: globals/table, mode: '0644'},", "1=10")
		id := w.ready(r, engine.ActionCreated).MapID
		records, err := w.Records(w.Context())
		w.must(err)
		records[0].Origin = engine.Record{}.Origin
		w.must(w.b.SaveRecord(w.Context(), &records[0]))
		w.must(w.open(r).Write(w.Context(), []byte{9}, []byte{90}))
		if report := w.ready(r, engine.ActionRepaired); report.MapID != id || report.Origin != "" {
			w.Errorf("map %d, was %d; origin %q", report.MapID, id, report.Origin)
		}
		w.holds(r, "1=10")
		w.pinIs(r, "644 0:0")
		if report := w.Remove(w.Context(), key); report.Err != nil || report.Action != engine.ActionGivenBack {
			w.Errorf("%+v", report)
		}
		w.holds(r, "")
	})
}

// TestReplacedByItsLoader: a new map that its loader pins in place of one of ours follows the same policy.
func TestReplacedByItsLoader(t *testing.T) {
	onRigs(t, func(w *wrecked) {
		never := hash(w.T, "adoptionPolicy: Never,", "1=10")
		ours := w.ready(never, engine.ActionCreated).MapID
		theirs := w.id(w.theirs(never))
		w.refused(w.sync(never, stalled, engine.ActionNone), v1alpha1.NodeReasonAdoptionNotAllowed,
			fmt.Sprintf("map %d, made by somebody else, took the pin", theirs), fmt.Sprintf("managed map %d, which is kept", ours))
		w.holds(never, "7=70 8=80 9=90")
		adopt := hash(w.T, "adoptionPolicy: Adopt,", "1=10")
		if report := w.ready(adopt, engine.ActionAdopted); report.MapID != theirs {
			w.Errorf("map %d, want %d", report.MapID, theirs)
		}
		w.ready(never, engine.ActionNone) // what was taken over stays so
		w.must(w.Remove(w.Context(), key).Err)
		w.holds(adopt, "7=70 8=80 9=90")
		w.pinIs(adopt, "640 0:7")
	})
}
