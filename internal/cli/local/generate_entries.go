// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/element"
	"github.com/bpfmap-io/bpfmap-operator/internal/manifest"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
	"github.com/bpfmap-io/bpfmap-operator/internal/pinstore"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// maxEntryBytes bounds the entries of a manifest: an object of Kubernetes has to be smaller than etcd's 1.5 MiB.
const maxEntryBytes = 1 << 20

// contents collects the elements of a map as entries of a manifest.
type contents struct {
	doc    *manifest.Document
	typing element.Typing
	limit  int
	// array says that elements of zeros are those that nobody wrote.
	array bool
	// unnamed are the numbers of what a manifest calls by name, that no name was found for in an element.
	unnamed []string
	bytes   int
	entries int
	zeros   int
	left    int
}

// addEntries adds the elements of m to its document.
func (g *generator) addEntries(ctx context.Context, doc *manifest.Document, m *bpf.Map, root string) error {
	t := maptype.ByNumber(uint32(m.Type()))
	if t.Runtime || t.Reading != maptype.Listed {
		doc.Comments = append(doc.Comments, fmt.Sprintf("What a map of type %s holds can't be listed, or not be declared: there are no entries here.", t.Name))
		return nil
	}
	c := &contents{doc: doc, limit: g.live.limit, array: t.Array}
	var err error
	if c.typing, err = typingOf(m, declaredSchemas(&doc.Spec, t), root); err != nil {
		return err
	}
	c.nameLinks(root, doc.Namespace)
	it := m.Iterate(ctx, bpf.IterateOptions{})
	for it.Next() {
		for i := range it.Len() {
			if err := c.add(elementOf(it, m, i)); err != nil {
				return err
			}
		}
	}
	switch err := it.Err(); {
	case err != nil:
		return err
	case !it.Complete():
		return fmt.Errorf("map id %d: it changed while it was read, so entries may be missing: try again", mapID(m))
	}
	if c.zeros > 0 {
		doc.Comments = append(doc.Comments, text.Count(c.zeros, "element holds", "elements hold")+" zeros alone, as new ones do, and no entry here.")
	}
	if c.left > 0 {
		doc.Comments = append(doc.Comments, text.Count(c.left, "element holds", "elements hold")+" what has no name, and is a comment below.")
	}
	return nil
}

// declaredSchemas are those of a spec, with what it may leave out.
func declaredSchemas(spec *v1alpha1.BPFMapSpec, t *maptype.Type) schemas {
	s := schemas{spec.Key, &spec.Value}
	if d := t.Key.Default; s.key == nil && d.Type != "" {
		s.key = &v1alpha1.Schema{Type: v1alpha1.ScalarType(d.Type), Length: d.Length}
	}
	if d := t.Value.Default; s.value.Type == "" && len(s.value.Fields) == 0 {
		s.value = &v1alpha1.Schema{Type: v1alpha1.ScalarType(d.Type), Length: d.Length}
	}
	return s
}

// add adds one element.
func (c *contents) add(key, value []byte) error {
	if c.array && isZero(value) {
		c.zeros++
		return nil
	}
	c.unnamed = c.unnamed[:0]
	line := string(c.typing.AppendEntry(nil, key, value))
	if len(c.unnamed) > 0 {
		c.left++
		line = fmt.Sprintf("# %s has no name: %s", c.unnamed[0], line)
	}
	c.entries++
	c.bytes += len(line)
	switch {
	case c.entries > c.limit:
		return fmt.Errorf("the map holds more than %s: %s", text.Count(c.limit, "element", "elements"), wayOut)
	case c.bytes > maxEntryBytes:
		return fmt.Errorf("its entries take more than %d bytes: %s", maxEntryBytes, wayOut)
	}
	c.doc.Entries = append(c.doc.Entries, line)
	return nil
}

// wayOut is what can be done with a map that is too large for one manifest.
const wayOut = "leave --entries out, since what isn't declared stays with syncPolicy Merge, or put the output of bpfmap dump -o yaml into sources (entriesFrom)"

func isZero(b []byte) bool {
	for _, v := range b {
		if v != 0 {
			return false
		}
	}
	return true
}

// nameLinks lets entries name what a manifest calls by name. What has none is noted.
func (c *contents) nameLinks(root, namespace string) {
	names := linkNames{root: root, namespace: namespace}
	name := func(t v1alpha1.ScalarType, n uint64) (string, bool) {
		found, ok := names.of(t, n)
		if !ok && n != 0 && t != v1alpha1.TypeIfindex && t != v1alpha1.TypeCgroupID { // those two take numbers
			c.unnamed = append(c.unnamed, fmt.Sprintf("%s %d", t, n))
		}
		return found, ok
	}
	for _, codec := range []*element.Codec{&c.typing.Key, &c.typing.Value} {
		if l, ok := (*codec).(*schema.Layout); ok {
			*codec = l.Named(name)
		}
	}
}

// linkNames finds what numbers stand for on this machine, as a manifest of a namespace calls it.
type linkNames struct {
	root, namespace string
	maps, programs  map[uint64]string
}

func (l *linkNames) of(t v1alpha1.ScalarType, n uint64) (string, bool) {
	switch t {
	case v1alpha1.TypeIfindex:
		return interfaceName(n)
	case v1alpha1.TypeMapRef:
		if l.maps == nil {
			l.maps = mapsIn(l.root, l.namespace)
		}
		name, ok := l.maps[n]
		return name, ok
	case v1alpha1.TypeProgPin:
		if n == 0 {
			return "", true
		}
		if l.programs == nil {
			l.programs = pinnedPrograms(hostRoot().Here(l.root))
		}
		name, ok := l.programs[n]
		return name, ok
	}
	return "", false
}

// mapsIn are the BPFMaps of a namespace by the ids of their maps; without a namespace, of all.
func mapsIn(root, namespace string) map[uint64]string {
	names := map[uint64]string{}
	records, err := pinstore.New(hostRoot().Here(root), pinstore.Options{}).Records()
	if err != nil {
		return names
	}
	for i := range records {
		if namespace == "" || records[i].Key.Namespace == namespace {
			names[uint64(records[i].MapID)] = records[i].Key.Name
		}
	}
	return names
}

// pinnedPrograms are the pins of programs below a BPF file system by the programs' ids, as entries name them.
func pinnedPrograms(root string) map[uint64]string {
	pins := map[uint64]string{}
	// The function never fails: what can't be opened is no program, or can't be named.
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil //nolint:nilerr // passed over
		}
		p, err := bpf.GetPinnedProgram(path)
		if err != nil {
			return nil //nolint:nilerr // a map, or a link
		}
		if rel, err := filepath.Rel(root, path); err == nil {
			pins[uint64(p.Info().ID)] = rel
		}
		return p.Close()
	})
	return pins
}

// ownerOf are the permissions of a pin, in the form of spec.pin.
func ownerOf(path string) (mode fs.FileMode, uid, gid int64, err error) {
	st, err := os.Stat(path)
	if err != nil {
		return 0, 0, 0, fmt.Errorf("look at the pin: %w", err)
	}
	owner, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, 0, errors.New("look at the pin " + strconv.Quote(path) + ": this system doesn't tell its owner")
	}
	return st.Mode().Perm(), int64(owner.Uid), int64(owner.Gid), nil
}
