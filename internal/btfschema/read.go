// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package btfschema

import (
	"fmt"
	"math"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// What a schema may hold.
const (
	maxLength     = 65536
	maxDimensions = 4
	maxSize       = 1 << 20
	maxEnumNames  = 512
)

// Of is the schema of a type, whose size and offsets are exactly the type's. What a schema can't say becomes hex of
// the same size, that place alone; what belongs to the kernel becomes padding. Members without a name are anon1,
// anon2 and so on; arrays without elements are left out. It is nil for types without a size, or of 2 GiB or more.
func Of(t btf.Type) *v1alpha1.Schema {
	s, _ := Reader{}.Of(t)
	return s
}

// Reader makes schemas of types.
type Reader struct {
	// Enums finds the enum that a tag names, among all types of the same BTF; nil finds none.
	Enums func(name string) *btf.Enum
}

// In is a Reader of types of a spec.
func In(spec *btf.Spec) Reader {
	return Reader{Enums: func(name string) *btf.Enum {
		var e *btf.Enum
		if err := spec.TypeByName(name, &e); err != nil {
			return nil
		}
		return e
	}}
}

// Of is the schema of a type, as the function Of, and notes for people on what it can't say; nil for types without
// a size.
func (r Reader) Of(t btf.Type) (*v1alpha1.Schema, []string) {
	w := walk{Reader: r}
	s := w.of(t, nil, v1alpha1.MaxFieldDepth)
	if s != nil && s.Type == v1alpha1.TypePadding {
		s.Type = v1alpha1.TypeHex // padding has no value, and a key or value is one
	}
	return s, w.notes
}

// FromKernel is the schemas of a map's key and value from the BTF object that the kernel holds under
// id; nil for a type id of 0. isLPM says that the key is that of an LPM trie. It needs CAP_SYS_ADMIN.
func FromKernel(id, keyType, valueType uint32, isLPM bool) (key, value *v1alpha1.Schema, err error) {
	types, err := TypesFromKernel(id, keyType, valueType)
	if err != nil {
		return nil, nil, err
	}
	if types.Key != nil {
		if key, _ = types.Reader.Of(types.Key); isLPM {
			key, _ = types.Reader.OfLPMKey(types.Key)
		}
	}
	if types.Value != nil {
		value, _ = types.Reader.Of(types.Value)
	}
	return key, value, nil
}

// Types are those of a map's key and value; nil for one without.
type Types struct {
	Reader     Reader
	Key, Value btf.Type
}

// TypesFromKernel are the types of a map's key and value in the BTF object that the kernel holds under id; nil for
// a type id of 0. It needs CAP_SYS_ADMIN.
func TypesFromKernel(id, keyType, valueType uint32) (Types, error) {
	handle, err := btf.NewHandleFromID(btf.ID(id))
	if err != nil {
		return Types{}, fmt.Errorf("open BTF %d: %w", id, err)
	}
	spec, err := handle.Spec(nil)
	if closeErr := handle.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return Types{}, fmt.Errorf("read BTF %d: %w", id, err)
	}
	types := Types{Reader: In(spec)}
	for _, part := range []struct {
		id uint32
		to *btf.Type
	}{{keyType, &types.Key}, {valueType, &types.Value}} {
		if part.id == 0 {
			continue
		}
		if *part.to, err = spec.TypeByID(btf.TypeID(part.id)); err != nil {
			return Types{}, fmt.Errorf("read BTF type %d: %w", part.id, err)
		}
	}
	return types, nil
}

// walk is one reading of a type.
type walk struct {
	Reader
	path  string
	notes []string
}

func (w *walk) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if w.path != "" {
		text = w.path + ": " + text
	}
	w.notes = append(w.notes, text)
}

// of is the schema of a type. tags are those of its member and of the typedefs around it.
func (w *walk) of(t btf.Type, tags []string, depth int) *v1alpha1.Schema {
	size := sizeOf(t)
	if size <= 0 {
		return nil
	}
	tags = append(tags, typedefTags(t)...)
	for _, text := range tags {
		tag, ok := ParseTag(text)
		if !ok {
			continue
		}
		plain := w.untagged(t, size, depth)
		s, why := w.apply(tag, t, plain)
		if s != nil {
			return s
		}
		w.note("the tag %q is left out: %s", text, why)
		return plain
	}
	return w.untagged(t, size, depth)
}

func (w *walk) untagged(t btf.Type, size, depth int) *v1alpha1.Schema {
	if s := known(t); s != nil {
		return s
	}
	switch u := btf.UnderlyingType(t).(type) {
	case *btf.Array:
		if s := w.array(u, depth); s != nil {
			return s
		}
	case *btf.Struct:
		if s := w.structure(u.Members, size, depth, false); s != nil {
			return s
		}
	case *btf.Union:
		if s := w.structure(u.Members, size, depth, true); s != nil {
			return s
		}
	case *btf.Datasec:
		if s := w.structure(variables(u), size, depth, false); s != nil {
			return s
		}
	default:
		if s := w.scalar(t, u); s != nil {
			return s
		}
	}
	return opaque(size)
}

// opaque is what stands for bytes that nothing else can be said of.
func opaque(size int) *v1alpha1.Schema {
	return &v1alpha1.Schema{Type: v1alpha1.TypeHex, Size: int32(size)}
}

// sizeOf is the size of a type in bytes; 0 for types without one, and for those with more bytes than a schema can count.
func sizeOf(t btf.Type) int {
	size, err := btf.Sizeof(t)
	if d, ok := btf.UnderlyingType(t).(*btf.Datasec); ok {
		size, err = int(d.Size), nil
	}
	if err != nil || size > math.MaxInt32 {
		return 0
	}
	return size
}

// typedefTags are the tags of the typedefs that a type is known by.
func typedefTags(t btf.Type) (tags []string) {
	for {
		switch q := t.(type) {
		case *btf.Typedef:
			tags, t = append(tags, q.Tags...), q.Type
		case *btf.Const:
			t = q.Type
		case *btf.Volatile:
			t = q.Type
		case *btf.Restrict:
			t = q.Type
		case *btf.TypeTag:
			t = q.Type
		default:
			return tags
		}
	}
}
