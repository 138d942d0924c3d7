// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package revision

import (
	"fmt"
	"io/fs"
	"math"
	"strconv"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// ToObjects is r as API objects, without owner references and labels: the revision, and the parts that it
// names as chunks if its entries are too many for it.
func ToObjects(r *Revision) (*v1alpha1.BPFMapRevision, []*Part) {
	obj := ToObject(r)
	return obj, store(&obj.Spec, r.Contents.Parts())
}

// store puts contents into a revision's spec: into itself, or the names of the chunks that are to hold the parts
// that it returns.
func store(s *v1alpha1.BPFMapRevisionSpec, parts []*Part) []*Part {
	s.Entries, s.Chunks = nil, nil
	if len(parts) == 1 && isInline(s, parts[0].Len, len(parts[0].Packed)) {
		s.Entries = parts[0].Packed
		return nil
	}
	for _, p := range parts {
		s.Chunks = append(s.Chunks, p.Name(s.MapName))
	}
	return parts
}

// isInline says whether so many entries may be in the revision itself. All agents watch all revisions: what only
// some nodes need is read by those.
func isInline(s *v1alpha1.BPFMapRevisionSpec, entries, packed int) bool {
	return entries == 0 || (packed <= v1alpha1.MaxInlineEntriesBytes && len(s.NodeSelector) == 0)
}

// Restore moves the entries of an object that an earlier controller wrote into chunks, if a revision that is
// written now may not hold them itself. It returns the parts that the chunks are to hold.
func Restore(obj *v1alpha1.BPFMapRevision) ([]*Part, error) {
	s := &obj.Spec
	if len(s.Chunks) > 0 || isInline(s, int(s.EntryCount), len(s.Entries)) {
		return nil, nil
	}
	r, err := FromObject(obj, nil)
	if err != nil {
		return nil, err
	}
	return store(s, r.Contents.Parts()), nil
}

// ToObject is the API object of r without its entries, owner references and labels.
func ToObject(r *Revision) *v1alpha1.BPFMapRevision {
	uid, gid := int64(r.Pin.UID), int64(r.Pin.GID)
	obj := &v1alpha1.BPFMapRevision{Spec: v1alpha1.BPFMapRevisionSpec{
		MapName: r.Key.Name, MapUID: r.UID, Number: r.Number,
		Type: r.Shape.Type, KeySize: int64(r.Shape.KeySize), ValueSize: int64(r.Shape.ValueSize),
		MaxEntries: int64(r.Shape.MaxEntries), Flags: r.Shape.Flags, NUMANode: r.Shape.NUMANode,
		MapExtra: int64(r.Shape.MapExtra), ExclusiveProgramHash: r.Shape.ExclusiveProgram, Inner: innerObject(r.Shape.Inner),
		Key: r.KeySchema, Value: r.ValueSchema, References: r.References,
		SyncPolicy: r.Policy.Sync, DriftPolicy: r.Policy.Drift, Freeze: r.Policy.Freeze,
		ReplacePolicy: r.Policy.Replace, AdoptionPolicy: r.Policy.Adoption, DeletionPolicy: r.Policy.Deletion,
		Pin:          v1alpha1.Pin{Path: r.Pin.Path, Mode: fmt.Sprintf("%04o", r.Pin.Mode), UID: &uid, GID: &gid},
		PinStated:    r.Pin.Stated.fields(),
		NodeSelector: r.NodeSelector,
		Group:        r.Group,
		Sensitive:    r.Sensitive,
		ByteOrder:    NativeByteOrder(),
		Digest:       r.Digest, EntryCount: int64(r.Contents.Len),
	}}
	obj.Namespace, obj.Name = r.Key.Namespace, r.Name
	return obj
}

// FromObject is the revision of an API object; chunks are the parts that it names, in their order, as
// ReadPart gave them. It trusts nothing that has a check: sizes, counts and the digest must agree with the
// packed entries. What an earlier revision shared is not looked at again.
func FromObject(obj *v1alpha1.BPFMapRevision, chunks []*Part) (*Revision, error) {
	r, err := Describe(obj)
	if err != nil {
		return nil, err
	}
	s := &obj.Spec
	if len(chunks) != len(s.Chunks) {
		return nil, fmt.Errorf("read revision %s: %d chunks are here, %d are announced", obj.Name, len(chunks), len(s.Chunks))
	}
	if len(s.Chunks) == 0 {
		part, err := ReadPart(r.Shape, "", s.Entries)
		if err != nil {
			return nil, fmt.Errorf("read revision %s: %w", obj.Name, err)
		}
		chunks = []*Part{part}
	}
	if r.Contents, err = JoinParts(r.Shape, chunks); err != nil {
		return nil, fmt.Errorf("read revision %s: %w", obj.Name, err)
	}
	if err := r.check(s.EntryCount); err != nil {
		return nil, fmt.Errorf("read revision %s: %w", obj.Name, err)
	}
	return r, nil
}

// Describe is the revision of an API object without its contents.
func Describe(obj *v1alpha1.BPFMapRevision) (*Revision, error) {
	s := &obj.Spec
	key := Key{Namespace: obj.Namespace, Name: s.MapName}
	r := &Revision{
		Key: key, UID: s.MapUID, Name: obj.Name, Number: obj.Number(),
		Shape: Shape{Type: s.Type, Flags: s.Flags, NUMANode: s.NUMANode, Name: MapName(key)},
		Policy: Policy{
			Sync: s.SyncPolicy, Drift: s.DriftPolicy, Replace: s.ReplacePolicy, Adoption: s.AdoptionPolicy, Deletion: s.DeletionPolicy, Freeze: s.Freeze,
		},
		NodeSelector: s.NodeSelector, KeySchema: s.Key, ValueSchema: s.Value, References: s.References, Group: s.Group, Sensitive: s.Sensitive, Digest: s.Digest,
	}
	r.Shape.MapExtra, r.Shape.ExclusiveProgram = uint64(s.MapExtra), s.ExclusiveProgramHash
	sizes := []size{
		{"keySize", s.KeySize, &r.Shape.KeySize},
		{"valueSize", s.ValueSize, &r.Shape.ValueSize},
		{"maxEntries", s.MaxEntries, &r.Shape.MaxEntries},
	}
	if in := s.Inner; in != nil {
		r.Shape.Inner = &Shape{Type: in.Type, Flags: in.Flags}
		sizes = append(sizes, size{"inner.keySize", in.KeySize, &r.Shape.Inner.KeySize},
			size{"inner.valueSize", in.ValueSize, &r.Shape.Inner.ValueSize}, size{"inner.maxEntries", in.MaxEntries, &r.Shape.Inner.MaxEntries})
	}
	if err := key.Check(); err != nil {
		return nil, fmt.Errorf("read revision %s: %w", obj.Name, err)
	}
	if err := checkByteOrder(s.ByteOrder, NativeByteOrder()); err != nil {
		return nil, fmt.Errorf("read revision %s: %w", obj.Name, err)
	}
	err := readSizes(sizes)
	if err != nil {
		return nil, fmt.Errorf("read revision %s: %w", obj.Name, err)
	}
	if r.Pin, err = pinOf(&s.Pin); err != nil {
		return nil, fmt.Errorf("read revision %s: %w", obj.Name, err)
	}
	r.Pin.Stated = statedOf(s.PinStated)
	return r, nil
}

// size is a number of an object that fits into 32 bits.
type size struct {
	name string
	from int64
	to   *uint32
}

func readSizes(sizes []size) error {
	for _, n := range sizes {
		if n.from < 0 || n.from > math.MaxUint32 {
			return fmt.Errorf("%s %d is out of range (0…%d)", n.name, n.from, math.MaxUint32)
		}
		*n.to = uint32(n.from)
	}
	return nil
}

func innerObject(s *Shape) *v1alpha1.InnerShape {
	if s == nil {
		return nil
	}
	return &v1alpha1.InnerShape{
		Type: s.Type, KeySize: int64(s.KeySize), ValueSize: int64(s.ValueSize), MaxEntries: int64(s.MaxEntries), Flags: s.Flags,
	}
}

func pinOf(p *v1alpha1.Pin) (Pin, error) {
	mode, err := strconv.ParseUint(p.Mode, 8, 32)
	if err != nil || mode > 0o777 {
		return Pin{}, fmt.Errorf("pin mode %q is not a valid octal mode", p.Mode)
	}
	if err := CheckPinPath(p.Path); err != nil {
		return Pin{}, fmt.Errorf("pin path %w", err)
	}
	for _, id := range []*int64{p.UID, p.GID} {
		if id != nil && (*id < 0 || *id >= math.MaxUint32) {
			return Pin{}, fmt.Errorf("owner %d of the pin is out of range (0…%d)", *id, math.MaxUint32-1)
		}
	}
	pin := Pin{Path: p.Path, Mode: fs.FileMode(mode)}
	if p.UID != nil {
		pin.UID = uint32(*p.UID)
	}
	if p.GID != nil {
		pin.GID = uint32(*p.GID)
	}
	return pin, nil
}

func (r *Revision) check(count int64) error {
	if int64(r.Contents.Len) != count {
		return fmt.Errorf("there are %d entries, %d are announced", r.Contents.Len, count)
	}
	if digest := r.ContentDigest(); digest != r.Digest {
		return fmt.Errorf("the digest of the entries is %s, %s is announced", digest, r.Digest)
	}
	return nil
}
