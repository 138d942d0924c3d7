// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpfobject"
	"github.com/bpfmap-io/bpfmap-operator/internal/btfschema"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/manifest"
	"github.com/bpfmap-io/bpfmap-operator/internal/mapdef"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// programs are compiled programs that manifests are compared with.
type programs struct {
	files, named []string
}

func (p *programs) add(c *cobra.Command) {
	c.Flags().StringArrayVar(&p.files, "object", nil, "compiled program to compare with (repeatable)")
	c.Flags().StringArrayVar(&p.named, "map", nil, "NAME=MAP: compare BPFMap NAME with map MAP of the program (repeatable)")
	_ = c.MarkFlagFilename("object", "o") // fails only for a flag that doesn't exist
}

// programMap is a map of a program, and the file that it is of.
type programMap struct {
	*bpfobject.Map
	file string
}

// verdicts are what comparisons found, for people, by BPFMap: none for one that doesn't fit.
type verdicts map[revision.Key]string

// compare compares each manifest with its map. What doesn't fit, or that there is no such map, is among the findings.
func (p *programs) compare(l *loaded) (verdicts, error) {
	found, maps := verdicts{}, l.maps
	named, err := p.names(maps)
	if err != nil {
		return nil, err
	}
	var all []programMap
	for _, file := range p.files {
		of, err := readObject(file)
		if err != nil {
			return nil, err
		}
		for i := range of {
			all = append(all, programMap{&of[i], file})
		}
	}
	inner := innerNames(maps)
	for _, d := range maps {
		m, err := find(d, all, named[d.Map.Name])
		switch {
		case len(p.files) == 0:
			found[d.rev.Key] = ""
			continue
		case err != nil && inner[d.rev.Key]:
			found[d.rev.Key] = "; it is in maps of maps, whose spec.inner is compared with the program"
			continue
		}
		verdict := ""
		if err == nil {
			verdict, err = compareWith(l, d, m)
		}
		if err != nil {
			l.found(severityError, manifest.Problem{Place: d.Place, Object: d.Name(), Message: err.Error()})
		}
		if verdict != "" {
			found[d.rev.Key] = verdict
		}
	}
	return found, nil
}

// innerNames are the BPFMaps that are in others.
func innerNames(maps []declared) map[revision.Key]bool {
	inner := map[revision.Key]bool{}
	for _, d := range maps {
		for _, r := range d.rev.References {
			if r.Type == v1alpha1.TypeMapRef {
				inner[revision.Key{Namespace: d.rev.Key.Namespace, Name: r.Name}] = true
			}
		}
	}
	return inner
}

// names are the values of --map: maps of programs by the names of their BPFMaps.
func (p *programs) names(maps []declared) (map[string]string, error) {
	if len(p.files) == 0 && len(p.named) > 0 {
		return nil, Usagef("--map says which map of a program a BPFMap is: --object is needed")
	}
	named := map[string]string{}
	for _, v := range p.named {
		name, of, ok := strings.Cut(v, "=")
		if !ok || name == "" || of == "" {
			return nil, fmt.Errorf("--map %s: must be NAME=MAP, the name of a BPFMap and that of a map of the program", v)
		}
		if !slices.ContainsFunc(maps, func(d declared) bool { return d.Map.Name == name }) {
			return nil, fmt.Errorf("--map %s: no valid BPFMap of that name is in the manifests", v)
		}
		named[name] = of
	}
	return named, nil
}

// find is the map of a manifest: the one that --map names, or else the one that the pin is called by, or from whose name
// that of the BPFMap follows.
func find(d declared, all []programMap, named string) (programMap, error) {
	base := path.Base(d.rev.Pin.Path)
	matches := func(m programMap) bool {
		if named != "" {
			return m.Name == named
		}
		name, err := objectName("", objectBase(m.file), m.Name)
		return m.Name == base || err == nil && name == d.Map.Name
	}
	var names []string
	for _, m := range all {
		if matches(m) {
			return m, nil
		}
		names = append(names, m.Name)
	}
	if named == "" {
		named = base
	}
	return programMap{}, fmt.Errorf("no map of the program is called %s (there are %s): say which one it is with --map %s=MAP", named, strings.Join(names, ", "), d.Map.Name)
}

// compareWith finds how a manifest differs from a map. If it doesn't, the verdict says so.
func compareWith(l *loaded, d declared, m programMap) (verdict string, err error) {
	want, err := shapeOf(d, m)
	if err != nil {
		return "", fmt.Errorf("map %s of %s: %w", m.Name, m.file, err)
	}
	where := "map " + m.Name + " of " + path.Base(m.file)
	fits := true
	misfit := func(at, message string) {
		fits = false
		l.found(severityError, manifest.Problem{Place: d.At(at), Object: d.Name(), Path: at, Message: message})
	}
	for _, diff := range d.rev.Shape.Differences(*want) {
		at, what := "spec."+diff.Field, ""
		if part, isSize := strings.CutSuffix(at, " size"); isSize {
			at, what = part, "size "
		}
		misfit(at, fmt.Sprintf("%s%s is declared, %s has %s", what, diff.Want, where, diff.Have))
	}
	if base := path.Base(d.rev.Pin.Path); m.PinByName && base != m.Name {
		misfit("spec.pin.path", fmt.Sprintf("%s: the loader of %s looks for a pin called %s", d.rev.Pin.Path, where, m.Name))
	}
	verified := true
	for _, part := range partsOf(d, m) {
		if part.size == 0 || part.declared == nil {
			continue
		}
		if part.theirs.Type == nil {
			verified = false
			continue
		}
		comparison := part.compare()
		for _, diff := range comparison.Misfits {
			misfit(part.path, diff.String())
		}
		if !comparison.Fits() {
			last := &l.findings[len(l.findings)-1]
			last.Message += "\n" + inColumns(comparison.SideBySide())
		}
		for _, note := range comparison.Notes {
			l.found(severityNote, manifest.Problem{Place: d.At(part.path), Object: d.Name(), Path: part.path, Message: note.String()})
		}
	}
	switch {
	case !fits:
		return "", nil
	case !verified:
		return "; it has type and sizes of " + where + ", whose types of keys or values aren't in the object", nil
	}
	return "; it fits " + where, nil
}

// shapeOf is the shape that a loader makes a map with. What it sets itself at run time is as declared, and so is that
// in which loaders differ.
func shapeOf(d declared, m programMap) (*revision.Shape, error) {
	def := m.Definition
	if m.Skipped != "" {
		return nil, errors.New(m.Skipped)
	}
	cpus := uint32(possibleCPUs())
	fewer := d.rev.Shape.Type == v1alpha1.MapTypePerfEventArray && d.rev.Shape.MaxEntries == min(def.MaxEntries, cpus)
	if def.MaxEntries == 0 || fewer {
		def.MaxEntries = d.rev.Shape.MaxEntries
	}
	if m.Section && slices.Contains(d.rev.Shape.Flags, v1alpha1.MapFlag(maptype.Mmapable.Names()[0])) {
		def.Flags |= maptype.Mmapable
	}
	made, err := def.Declare(int(cpus))
	if err != nil {
		return nil, err
	}
	made.Spec.NUMANode = d.rev.Shape.NUMANode // memory alone depends on it
	rev, err := compile.Compile(&v1alpha1.BPFMap{ObjectMeta: d.Map.ObjectMeta, Spec: made.Spec})
	if err != nil {
		return nil, err
	}
	rev.Shape.Name = d.rev.Shape.Name
	return &rev.Shape, nil
}

// comparedPart is a key or value, as it is declared and as the program has it.
type comparedPart struct {
	path     string
	declared *v1alpha1.Schema
	size     uint32
	theirs   mapdef.Datum
	isLPM    bool
}

func (p *comparedPart) compare() btfschema.Comparison {
	if p.isLPM {
		return p.theirs.Reader.CompareLPMKey(p.declared, p.theirs.Type)
	}
	return p.theirs.Reader.Compare(p.declared, p.theirs.Type)
}

// partsOf are what can be compared by types. Indexes and descriptors are numbers whatever C calls them.
func partsOf(d declared, m programMap) []comparedPart {
	t := maptype.ByName(string(d.rev.Shape.Type)).Or()
	parts := []comparedPart{}
	if t.Key.Default.Type == "" || d.Map.Spec.Key != nil && d.Map.Spec.Key.Type != v1alpha1.TypeU32 {
		parts = append(parts, comparedPart{"spec.key", d.rev.KeySchema, d.rev.Shape.KeySize, m.Key, t.LPM})
	}
	if t.Value.Default.Type == "" {
		parts = append(parts, comparedPart{"spec.value", &d.rev.ValueSchema, d.rev.Shape.ValueSize, m.Value, false})
	}
	if inner := d.Map.Spec.Inner; inner != nil && m.Inner != nil {
		it := maptype.ByName(string(inner.Type)).Or()
		if it.Key.Default.Type == "" {
			parts = append(parts, comparedPart{"spec.inner.key", inner.Key, m.Inner.KeySize, m.Inner.Key, it.LPM})
		}
		if it.Value.Default.Type == "" {
			parts = append(parts, comparedPart{"spec.inner.value", &inner.Value, m.Inner.ValueSize, m.Inner.Value, false})
		}
	}
	return parts
}

// inColumns is text in two columns behind an error.
func inColumns(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n    ")
}
