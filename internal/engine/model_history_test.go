// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/enginetest"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// opKind is what happens in a step of a history.
type opKind string

// The kinds of steps.
const (
	opDeclare    opKind = "declare"     // people write a spec, or an earlier one again
	opUndeclare  opKind = "undeclare"   // people delete the BPFMap
	opSync       opKind = "sync"        // the agent works on a map: Sync, or Remove if nothing is declared
	opPlan       opKind = "plan"        // somebody asks what would be done
	opRestart    opKind = "restart"     // the agent starts anew
	opWrite      opKind = "write"       // others write an element of the map at a pin
	opCount      opKind = "count"       // programs write what they own of an element of the map at a pin
	opDelete     opKind = "delete"      // others delete one
	opFreeze     opKind = "freeze"      // others freeze the map at a pin
	opUnpin      opKind = "unpin"       // others remove a pin
	opPinOther   opKind = "pin-other"   // others pin a map of theirs, over whatever is there
	opChmod      opKind = "chmod"       // others change a pin's mode
	opLoseRecord opKind = "lose-record" // others remove our record
	opLoseKept   opKind = "lose-kept"   // others remove our keep-alive pin
	opLink       opKind = "link"        // an interface, a cgroup or a program comes, goes, or becomes another
	opReboot     opKind = "reboot"      // everything in the BPF file system is gone
)

// op is a step. It means something without those before it, so that any of them may be left out.
type op struct {
	kind  opKind
	name  int // in modelKeys
	pin   int // in modelPins
	key   int // in modelIndexes
	value byte
	shape int // in modelShapes
	spec  *modelSpec
	fault *modelFault
	other *intrusion // others write during a sync
	again bool       // a sync is repeated, and must find nothing to do
}

func (o op) String() string {
	switch o.kind {
	case opDeclare:
		return fmt.Sprintf("declare %s: %s", modelKeys[o.name], o.spec)
	case opSync:
		again := ""
		if o.again {
			again = ", and again"
		}
		return fmt.Sprintf("sync %s%s%s%s", modelKeys[o.name], again, o.fault, o.other)
	case opUndeclare, opPlan, opLoseKept, opLoseRecord:
		return fmt.Sprintf("%s %s", o.kind, modelKeys[o.name])
	case opWrite:
		return fmt.Sprintf("write %d=%d into %s", modelIndexes[o.key], o.value, modelPins[o.pin])
	case opCount:
		return fmt.Sprintf("count %d=%d in %s", modelIndexes[o.key], o.value, modelPins[o.pin])
	case opDelete:
		return fmt.Sprintf("delete %d from %s", modelIndexes[o.key], modelPins[o.pin])
	case opLink:
		types := []v1alpha1.ScalarType{v1alpha1.TypeIfindex, v1alpha1.TypeCgroup, v1alpha1.TypeProgPin}
		return fmt.Sprintf("link %s to %d", linkOf(types[o.key%len(types)], o).Name, o.value)
	case opFreeze, opUnpin, opChmod:
		return fmt.Sprintf("%s %s", o.kind, modelPins[o.pin])
	case opPinOther:
		return fmt.Sprintf("pin another %s with %d=%d at %s", modelShapes[o.shape].name, modelIndexes[o.key], o.value, modelPins[o.pin])
	}
	return string(o.kind)
}

// history is what happens to one node.
type history struct {
	seed        uint64
	incremental int // engine.Options.IncrementalThreshold
	ops         []op
}

func (h history) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, incremental from %d, %d steps\n", h.seed, h.incremental, len(h.ops))
	for i, o := range h.ops {
		fmt.Fprintf(&b, "%3d %s\n", i+1, o)
	}
	return b.String()
}

// generator draws histories.
type generator struct {
	*rand.Rand
	theme   int   // in modelThemes
	shapes  []int // in modelShapes
	specs   [3]*modelSpec
	earlier [3][]modelSpec
}

// newHistory draws the history of a seed.
func newHistory(seed uint64) history {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 0))}
	g.theme = []int{0, 0, 0, 1, themeOwned, themeOwned, themeLinks}[g.IntN(7)]
	g.shapes = themeShapes(g.theme)
	h := history{seed: seed, incremental: []int{1, 100}[g.IntN(2)]}
	for n := 10 + g.IntN(20); len(h.ops) < n; {
		h.ops = append(h.ops, g.step()...)
	}
	return h
}

// step draws the next step, or two that belong together.
func (g *generator) step() []op {
	name, pin := g.IntN(len(modelKeys)), g.IntN(len(modelPins))
	switch {
	case g.theme == 1:
		name = g.IntN(2) // maps in maps
	case g.IntN(3) > 0:
		name = 0 // much of what is to be found happens to one map
	}
	if s := g.specs[name]; s != nil && g.IntN(4) > 0 {
		for i, path := range modelPins {
			if path == s.pin {
				pin = i
			}
		}
	}
	at := op{name: name, pin: pin, key: g.IntN(len(modelIndexes)), value: byte(1 + g.IntN(3)), shape: g.shapes[g.IntN(len(g.shapes))]}
	do := func(kind opKind) op { o := at; o.kind = kind; return o }
	if g.theme == themeLinks && g.IntN(6) == 0 {
		at.value = byte(g.IntN(2) * (1 + g.IntN(6)))
		return []op{do(opLink)}
	}
	if g.theme == themeOwned && g.IntN(4) == 0 {
		at.value = byte(10 + g.IntN(90))
		return []op{do(opCount)}
	}
	switch n := g.IntN(100); {
	case n < 34:
		return g.maybeSync(g.declare(name), name)
	case n < 52:
		return []op{g.sync(name)}
	case n < 57:
		g.specs[name] = nil
		return g.maybeSync(do(opUndeclare), name)
	case n < 60:
		return []op{do(opPlan)}
	case n < 65:
		return []op{do(opRestart)}
	case n < 78:
		if s := g.specs[name]; s != nil && len(s.entries) > 0 && g.IntN(2) == 0 {
			all := slices.Sorted(maps.Keys(s.entries))
			at.key = all[g.IntN(len(all))] // what is declared becomes another value, or itself again
			at.value = []byte{at.value, s.entries[at.key]}[g.IntN(2)]
		}
		return []op{do(opWrite)}
	case n < 83:
		return []op{do(opDelete)}
	case n < 85:
		return []op{do(opFreeze)}
	case n < 89:
		return []op{do(opUnpin)}
	case n < 93:
		if s := g.specs[name]; s != nil && g.IntN(2) == 0 {
			at.shape = s.shape
		}
		return []op{do(opPinOther)}
	case n < 95:
		return []op{do(opChmod)}
	case n < 97:
		return []op{do(opLoseKept)}
	case n < 98:
		return []op{do(opLoseRecord)}
	}
	return []op{do(opReboot)}
}

func (g *generator) maybeSync(o op, name int) []op {
	if g.IntN(10) < 7 {
		return []op{o, g.sync(name)}
	}
	return []op{o}
}

var backendErrnos = []syscall.Errno{syscall.ENOMEM, syscall.E2BIG, syscall.EPERM, syscall.EBUSY, syscall.EAGAIN, syscall.EINTR, syscall.EIO}

func (g *generator) sync(name int) op {
	o := op{kind: opSync, name: name, again: g.IntN(3) == 0}
	if g.IntN(10) < 5 {
		f := &modelFault{errno: backendErrnos[g.IntN(len(backendErrnos))], below: g.IntN(4) > 0}
		f.Call = g.IntN(14)
		f.Dead = g.IntN(2) == 0
		f.Kind = enginetest.FaultKind(g.IntN(5))
		if f.below && g.IntN(2) == 0 {
			f.Call = g.IntN(60) // there are more calls below
		}
		if f.Kind == enginetest.Cancelled {
			f.Dead = false
		}
		if f.Kind == enginetest.Incomplete {
			f.Dead, f.below = false, false
		}
		o.fault = f
	}
	if (o.fault == nil || !o.fault.below && o.fault.Kind != enginetest.Incomplete) && g.IntN(4) == 0 {
		o.other = &intrusion{call: g.IntN(18), key: g.IntN(len(modelIndexes)), value: byte(1 + g.IntN(3)), byPin: g.IntN(2) == 0}
		if g.theme == themeOwned && g.IntN(3) > 0 {
			o.other.counts, o.other.value = true, byte(100+g.IntN(100))
			if s := g.specs[name]; s != nil && len(s.entries) > 0 {
				o.other.key = slices.Sorted(maps.Keys(s.entries))[g.IntN(len(s.entries))]
			}
		}
	}
	return o
}

// declare draws a spec: a new one, one near to that before, or an earlier one.
func (g *generator) declare(name int) op {
	var s modelSpec
	switch old := g.specs[name]; {
	case old == nil && len(g.earlier[name]) > 0 && g.IntN(2) == 0, old != nil && g.IntN(8) == 0:
		s = g.earlier[name][g.IntN(len(g.earlier[name]))].clone()
		if old == nil {
			s.uid++
		}
	case old == nil:
		s = g.fresh(name)
	default:
		s = old.clone()
		for range 1 + g.IntN(3) {
			g.edit(&s, name)
		}
	}
	settleSpec(&s)
	g.specs[name] = &s
	g.earlier[name] = append(g.earlier[name], s.clone())
	return op{kind: opDeclare, name: name, spec: &s}
}

// settleSpec makes of s what the compiler would take.
func settleSpec(s *modelSpec) {
	shape := modelShapes[s.shape]
	switch {
	case shape.IsFilledAtRuntime(), shape.IsKeyless() && !shape.IsBloom():
		s.policy.Sync = v1alpha1.SyncSeed
	case shape.IsHidden() && s.policy.Sync == v1alpha1.SyncMirror:
		s.policy.Sync = v1alpha1.SyncMerge
	}
	s.policy.Freeze = s.policy.Freeze && !shape.lock && shape.owned == ownsNothing
	for k := len(modelIndexes) - 1; k >= 0 && len(s.entries) > int(shape.MaxEntries); k-- {
		delete(s.entries, k)
	}
}

func (g *generator) fresh(name int) modelSpec {
	s := modelSpec{
		pin: modelPins[name], mode: 0o600, entries: map[int]byte{}, uid: 1,
		policy: revision.Policy{
			Sync: v1alpha1.SyncMerge, Drift: v1alpha1.DriftRepair, Replace: v1alpha1.ReplaceNever, Deletion: modelDeletions[g.IntN(2)],
			Adoption: modelAdoptions[g.IntN(3)],
		},
	}
	if g.theme > 0 || g.IntN(3) == 0 {
		s.shape = g.shapes[g.IntN(len(g.shapes))]
	}
	if g.IntN(2) == 0 {
		s.policy.Replace = v1alpha1.ReplaceSwap
	}
	for range 2 + g.IntN(3) {
		s.entries[g.IntN(len(modelIndexes))] = byte(1 + g.IntN(3))
	}
	if g.IntN(2) == 0 {
		g.edit(&s, name)
	}
	return s
}

// edit changes one property of a spec.
func (g *generator) edit(s *modelSpec, name int) {
	switch n := g.IntN(100); {
	case n < 48:
		if k := g.IntN(len(modelIndexes)); g.IntN(2) == 0 {
			delete(s.entries, k)
		} else {
			s.entries[k] = byte(1 + g.IntN(3))
		}
	case n < 58:
		s.policy.Sync = []v1alpha1.SyncPolicy{v1alpha1.SyncSeed, v1alpha1.SyncMerge, v1alpha1.SyncMirror}[g.IntN(3)]
	case n < 66:
		s.policy.Freeze = !s.policy.Freeze
	case n < 71:
		s.policy.Drift = []v1alpha1.DriftPolicy{v1alpha1.DriftRepair, v1alpha1.DriftReport}[g.IntN(2)]
	case n < 77:
		s.policy.Replace = []v1alpha1.ReplacePolicy{v1alpha1.ReplaceNever, v1alpha1.ReplaceSwap}[g.IntN(2)]
	case n < 86:
		s.shape = g.shapes[g.IntN(len(g.shapes))]
	case n < 94:
		s.pin = modelPins[[]int{name, 3, 4}[g.IntN(3)]]
	case n < 97:
		s.mode = []fs.FileMode{0o600, 0o640, 0o644}[g.IntN(3)]
	case n < 98:
		s.policy.Adoption = modelAdoptions[g.IntN(len(modelAdoptions))]
	default:
		s.policy.Deletion = modelDeletions[g.IntN(len(modelDeletions))]
	}
}

// The policies of which the first ones are drawn most.
var (
	modelDeletions = []v1alpha1.DeletionPolicy{v1alpha1.DeletionDelete, "", v1alpha1.DeletionGiveBack, v1alpha1.DeletionRetain}
	modelAdoptions = []v1alpha1.AdoptionPolicy{v1alpha1.AdoptionDiscard, v1alpha1.AdoptionAdopt, "", v1alpha1.AdoptionNever}
)

// shrink leaves out what isn't needed to fail: steps, faults and repetitions. fails runs a history.
func shrink(h history, fails func(history) bool) history {
	for size := len(h.ops) / 2; size > 0; size /= 2 {
		for from := 0; from+size <= len(h.ops); {
			less := h
			less.ops = slices.Concat(h.ops[:from], h.ops[from+size:])
			if fails(less) {
				h = less
			} else {
				from += size
			}
		}
	}
	for i := range h.ops {
		for again := true; again; {
			again = false
			for _, simpler := range simpler(h.ops[i]) {
				less := h
				less.ops = slices.Clone(h.ops)
				less.ops[i] = simpler
				if fails(less) {
					h, again = less, true
					break
				}
			}
		}
	}
	return h
}

// simpler are steps that would be easier to understand.
func simpler(o op) []op {
	var all []op
	if o.again {
		once := o
		once.again = false
		all = append(all, once)
	}
	if o.fault != nil {
		plain := o
		plain.fault = nil
		all = append(all, plain)
	}
	if o.other != nil {
		plain := o
		plain.other = nil
		all = append(all, plain)
	}
	if o.spec != nil {
		for _, k := range slices.Sorted(maps.Keys(o.spec.entries)) {
			less := o.spec.clone()
			delete(less.entries, k)
			plain := o
			plain.spec = &less
			all = append(all, plain)
		}
	}
	return all
}
