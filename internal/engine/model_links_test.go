// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// loopback is an interface that is always there.
var loopback = v1alpha1.Reference{Type: v1alpha1.TypeIfindex, Name: "lo"}

// modelNames are what values 1, 2 and 3 name. Interfaces, cgroups and programs but the loopback come and go
// on the memory backend, and never come on the kernel.
var modelNames = map[v1alpha1.ScalarType][3]string{
	v1alpha1.TypeMapRef:  {"a", "b", "gone"},
	v1alpha1.TypeIfindex: {"lo", "bpfmodel1", "bpfmodel2"},
	v1alpha1.TypeCgroup:  {"/m1", "/m2", "/m3"},
	v1alpha1.TypeProgPin: {"m/p1", "m/p2", "m/p3"},
}

// names is what the entry of the n-th key names, nil for nothing.
func (s modelShape) names(owner revision.Key, n int, v byte) *v1alpha1.Reference {
	switch {
	case s.link == "":
		return nil
	case s.inKey && n == 0:
		return &loopback
	case s.inKey:
		return &v1alpha1.Reference{Type: s.link, Name: fmt.Sprint("bpfkey", n)}
	}
	name := modelNames[s.link][v-1]
	if s.link == v1alpha1.TypeMapRef && name == owner.Name { // no map is in itself
		name = map[string]string{"a": "b", "b": "a"}[name]
	}
	return &v1alpha1.Reference{Type: s.link, Name: name}
}

// schemas say where links and locks are.
func (s modelShape) schemas() (key *v1alpha1.Schema, value v1alpha1.Schema) {
	number := v1alpha1.Schema{Type: v1alpha1.TypeU32}
	switch {
	case s.owned != ownsNothing && s.lock:
		return &number, s.ownedSchema()
	case s.owned != ownsNothing:
		return nil, s.ownedSchema()
	case s.inKey:
		return &v1alpha1.Schema{Type: s.link}, number
	case s.lock:
		return &number, v1alpha1.Schema{Fields: []v1alpha1.Field{
			{Name: "lock", Schema: v1alpha1.Schema{Type: v1alpha1.TypeSpinLock}}, {Name: "a", Schema: v1alpha1.Schema{Type: v1alpha1.TypeU32}}, {Name: "b", Schema: v1alpha1.Schema{Type: v1alpha1.TypeU32}},
		}}
	case s.link != "" && s.ValueSize == 8:
		return &number, v1alpha1.Schema{Fields: []v1alpha1.Field{{Name: "to", Schema: v1alpha1.Schema{Type: s.link}}, {Name: "n", Schema: v1alpha1.Schema{Type: v1alpha1.TypeU32}}}}
	case s.link != "":
		return &number, v1alpha1.Schema{Type: s.link}
	}
	return nil, v1alpha1.Schema{}
}

// wanted is what a spec asks of a node as it is.
type wanted struct {
	// declared are the entries as the map is to hold them: packed key → packed value, or for filters value →
	// value. held are the keys of those that wait, and waits says whether any does.
	declared map[string]string
	held     map[string]bool
	waits    bool
	// keys are those that become ours.
	keys map[string]bool
	// trace tells two outcomes of linking apart.
	trace string
	// invalid says that a name stands for what can't be, or two for the same.
	invalid bool
}

// want links a spec in the model's own way.
func (w *run) want(spec *modelSpec, key revision.Key, s *snapshot) wanted {
	shape, all := modelShapes[spec.shape], wanted{declared: map[string]string{}, held: map[string]bool{}, keys: map[string]bool{}}
	for k := range modelIndexes {
		v, ok := spec.entries[k]
		packed := shape.key(k)
		if !ok || packed == nil && !shape.IsBloom() {
			continue
		}
		target := uint32(0)
		if link := shape.names(key, k, v); link != nil {
			target = uint32(w.links[*link])
			if link.Type == v1alpha1.TypeMapRef {
				if inner := s.kept[revision.Key{Namespace: key.Namespace, Name: link.Name}]; inner != nil {
					target = inner.ID
					all.invalid = all.invalid || len(shape.Inner.InnerDifferences(inner.Shape)) > 0
				}
			}
			all.trace += fmt.Sprint(link.Name, "=", target, " ")
			all.waits = all.waits || target == 0
			switch {
			case target == 0 && shape.inKey:
				continue
			case target == 0:
				all.held[string(packed)], all.keys[string(packed)] = true, true
				continue
			case shape.inKey:
				packed = binary.NativeEndian.AppendUint32(nil, target)
				all.invalid = all.invalid || all.keys[string(packed)]
			}
		}
		value := string(shape.value(k, v, target, w.PossibleCPUs()))
		if shape.IsBloom() {
			packed = []byte(value)
		}
		all.declared[string(packed)], all.keys[string(packed)] = value, true
	}
	return all
}

// link lets an interface, a cgroup or a program come, go, or become another one.
func (w *run) link(o op) {
	if w.setLink == nil {
		return
	}
	types := []v1alpha1.ScalarType{v1alpha1.TypeIfindex, v1alpha1.TypeCgroup, v1alpha1.TypeProgPin}
	link := linkOf(types[o.key%len(types)], o)
	if link != loopback {
		w.setLink(link, uint64(o.value))
		w.links[link] = uint64(o.value)
	}
}

// linkOf is the name that a step is about: of values, or of keys.
func linkOf(typ v1alpha1.ScalarType, o op) v1alpha1.Reference {
	if typ == v1alpha1.TypeIfindex && o.pin > 0 {
		return v1alpha1.Reference{Type: typ, Name: fmt.Sprint("bpfkey", o.pin)}
	}
	return v1alpha1.Reference{Type: typ, Name: modelNames[typ][o.shape%3]}
}

// writeAsOther writes an element as programs and people would: what values name must be there. It says
// what is then in the map, and whether anything was written.
func writeAsOther(ctx context.Context, b engine.Backend, m engine.Map, k int, v byte) (key, value string, written bool, err error) {
	info, err := m.Info(ctx)
	if err != nil || info.Frozen || info.Shape.IsFilledAtRuntime() {
		return "", "", false, err
	}
	shape := modelShapeOf(info.Shape)
	packed := shape.key(k)
	if packed == nil && !shape.IsKeyless() {
		return "", "", false, nil
	}
	shows, takes := uint32(0), uint32(0)
	if link := shape.names(modelKeys[2], k, v); link != nil && !shape.inKey {
		target, err := b.Resolve(ctx, modelKeys[0], *link)
		if errors.Is(err, engine.ErrAbsent) {
			return "", "", false, nil
		}
		if err != nil {
			return "", "", false, err
		}
		if target.Close != nil {
			defer func() { err = errors.Join(err, target.Close()) }()
		}
		if target.Shape != nil && len(shape.Inner.InnerDifferences(*target.Shape)) > 0 {
			return "", "", false, nil // the kernel refuses it
		}
		shows, takes = uint32(target.Read), uint32(target.Write)
	}
	cpus := b.PossibleCPUs()
	err = m.Write(ctx, otherBits(shape, packed, v), shape.value(k, v, takes, cpus))
	var reason engine.Reasoner
	if errors.As(err, &reason) && reason.Reason() == v1alpha1.NodeReasonMapFull {
		return "", "", false, nil
	}
	return string(packed), string(shape.value(k, v, shows, cpus)), err == nil, err
}

// otherBits sets bits of a prefix that don't count.
func otherBits(s modelShape, packed []byte, v byte) []byte {
	if !s.IsLPM() || packed == nil {
		return packed
	}
	bits := append([]byte(nil), packed...)
	bits[len(bits)-1] |= v
	return bits
}
