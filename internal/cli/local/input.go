// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/terminal"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/manifest"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// defaultNamespace is that of manifests that have none.
const defaultNamespace = "default"

// errNothing is that of a command that was given nothing to read.
var errNothing = Usagef("nothing to read: -f FILE is needed")

// errNoBPFMap is that of a command that found no BPFMap in what it was given.
var errNoBPFMap = errors.New("no BPFMap found")

// inputFlags say which manifests a command reads.
type inputFlags struct {
	paths     []string
	recursive bool
	namespace string
	documents documentFlags
	// stateless says that the command goes by contents which need a memory of the sources that it doesn't have.
	stateless bool
}

// add adds the flags of a command that compiles what it reads.
func (f *inputFlags) add(c *cobra.Command) {
	f.addPaths(c)
	f.documents.add(c)
}

func (f *inputFlags) addPaths(c *cobra.Command) {
	c.Flags().StringArrayVarP(&f.paths, "filename", "f", nil, "file, folder or - for standard input (repeatable)")
	c.Flags().BoolVarP(&f.recursive, "recursive", "R", false, "descend into the folders of folders")
	c.Flags().StringVarP(&f.namespace, "namespace", "n", "", "namespace of manifests that have none, and the only one allowed (default \"default\")")
	_ = c.MarkFlagFilename("filename", "yaml", "yml", "json") // fails only for a flag that doesn't exist
}

func (f *inputFlags) read(c *cobra.Command) manifest.Set { return manifest.Read(f.options(c)) }

func (f *inputFlags) options(c *cobra.Command) manifest.Options {
	o := manifest.Options{
		Paths: f.paths, Recursive: f.recursive, Stdin: c.InOrStdin(),
		Namespace: f.namespace, NamespaceEnforced: f.namespace != "",
	}
	if o.Namespace == "" {
		o.Namespace = defaultNamespace
	}
	return o
}

// declared is a manifest and what it compiles to.
type declared struct {
	manifest.Manifest
	rev *revision.Revision
	// sources are what was read from each source.
	sources []compile.SourceReport
}

// leftOut says what was left out of each source of a manifest.
func leftOut(m *manifest.Manifest, sources []compile.SourceReport) (notes []manifest.Problem) {
	for i := range sources {
		s := &sources[i]
		if len(s.LeftOut) == 0 {
			continue
		}
		path := fmt.Sprintf("spec.entriesFrom[%d]", s.Index)
		notes = append(notes, manifest.Problem{Place: m.At(path), Object: m.Name(), Path: fmt.Sprintf("%s (%s)", path, s.Name),
			Message: fmt.Sprintf("%s; left out: %s", text.Count(s.Entries, "entry", "entries"), s.Summary())})
	}
	return notes
}

// id is how kubectl names the object.
func id(key revision.Key) string { return "bpfmap.bpfmap.io/" + key.String() }

// loaded is what was read and compiled.
type loaded struct {
	// manifests are those that were read, and maps those of them that are valid.
	manifests []manifest.Manifest
	maps      []declared
	skipped   []manifest.Skipped
	findings  []finding
}

// compile reads and compiles everything. What is wrong is printed, with its place; ok is false then.
// The other maps are returned all the same.
func (f *inputFlags) compile(c *cobra.Command) (maps []declared, ok bool, err error) {
	l, err := f.load(c)
	if err != nil {
		return nil, false, err
	}
	l.print(c)
	if len(l.maps) == 0 && l.isValid() {
		return nil, false, errNoBPFMap
	}
	return l.maps, l.isValid(), nil
}

// load reads and compiles everything. The error is one of what isn't in a manifest.
func (f *inputFlags) load(c *cobra.Command) (*loaded, error) {
	if len(f.paths) == 0 {
		return nil, errNothing
	}
	progress := terminal.StartProgress(c.Context(), c.ErrOrStderr(), "Reading manifests", 0)
	defer progress.Done()
	set := f.read(c)
	l := &loaded{manifests: set.Manifests, skipped: set.Skipped}
	l.found(severityError, set.Problems...)
	from := &documents{remote: &fetchedOnce{c.Context(), f.documents.offline, map[string]fetchedText{}}}
	given, err := f.documents.configMaps(cmp.Or(f.namespace, defaultNamespace), from.read)
	if err == nil {
		err = given.err()
	}
	if err != nil {
		return nil, err
	}
	set.Sources = append(given.all, set.Sources...) // the first of a name is found
	for i := range set.Manifests {
		if ctx := c.Context(); ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		progress.Say(fmt.Sprintf("Compiling %s (%d of %d)", set.Manifests[i].Name(), i+1, len(set.Manifests)))
		f.compileInto(l, &set.Manifests[i], set.Sources, from)
	}
	var conflicts []manifest.Problem
	l.maps, conflicts = refusePinConflicts(l.maps)
	l.found(severityError, conflicts...)
	if l.isValid() {
		l.found(severityError, refuseGroups(l.maps)...)
	}
	return l, nil
}

// compileInto compiles a manifest, and notes what comes of it.
func (f *inputFlags) compileInto(l *loaded, m *manifest.Manifest, sources []manifest.Source, from *documents) {
	if refused := lifetimes(m); f.stateless && len(refused) > 0 {
		l.found(severityError, refused...)
		return
	}
	result, missing, err := f.compileManifest(m, sources, from)
	l.found(severityWarning, missing...)
	if result != nil {
		l.found(severityNote, leftOut(m, result.Sources)...)
	}
	if err != nil {
		l.found(severityError, problemsOf(m, err)...)
		return
	}
	l.maps = append(l.maps, declared{*m, result.Revision, result.Sources})
}

// compileManifest compiles a manifest with the sources that there are. Those that are missing and may be are returned.
func (f *inputFlags) compileManifest(m *manifest.Manifest, sources []manifest.Source, from *documents) (*compile.Result, []manifest.Problem, error) {
	found, err := compile.Gather(&m.Map.Spec, objects{m.Map.Namespace, sources, m.Folder(), from})
	if err != nil {
		return nil, nil, err
	}
	var missing []manifest.Problem
	if f.documents.missing == missingIgnore {
		for i := range found {
			s := &found[i]
			if s.Err == nil || m.Map.Spec.EntriesFrom[s.Index].File != nil {
				continue
			}
			path := fmt.Sprintf("spec.entriesFrom[%d]", s.Index)
			missing = append(missing, manifest.Problem{Place: m.At(path), Object: m.Name(), Path: path,
				Message: fmt.Sprintf("not checked: %s: %v", s.Name, s.Err)})
			s.Absent = true
		}
	}
	result, err := compile.Run(m.Map, compile.Input{Sources: found, Now: time.Now()})
	return result, missing, err
}

// lifetimes are the sources of a manifest that have lifetimes from the first sight, which nobody here remembers.
func lifetimes(m *manifest.Manifest) (problems []manifest.Problem) {
	for i := range m.Map.Spec.EntriesFrom {
		after := m.Map.Spec.EntriesFrom[i].ExpireAfter.Duration
		if after == 0 {
			continue
		}
		path := fmt.Sprintf("spec.entriesFrom[%d].expireAfter", i)
		problems = append(problems, manifest.Problem{Place: m.At(path), Object: m.Name(), Path: path, Message: fmt.Sprintf(
			"%s: only the controller remembers when a source held a key first: leave expireAfter out, or let the source say by expires (mapping.expires) when each entry is to go", after)})
	}
	return problems
}

// problemsOf are the problems of a manifest that an error tells of, each with its place.
func problemsOf(m *manifest.Manifest, err error) []manifest.Problem {
	var e *compile.Error
	if !errors.As(err, &e) {
		return []manifest.Problem{{Place: m.Place, Object: m.Name(), Message: err.Error()}}
	}
	var all []manifest.Problem
	for _, p := range e.Problems {
		all = append(all, manifest.Problem{Place: m.At(p.Path), Object: m.Name(), Path: p.Path, Message: p.Message})
	}
	if more := e.Total - len(e.Problems); more > 0 {
		all = append(all, manifest.Problem{Place: m.Place, Object: m.Name(), Message: fmt.Sprintf("and %d more problems", more)})
	}
	return all
}

// refusePinConflicts drops maps that share a pin: which one gets it would depend on the order.
func refusePinConflicts(maps []declared) (unique []declared, problems []manifest.Problem) {
	users := map[string][]declared{}
	for _, d := range maps {
		users[d.rev.Pin.Path] = append(users[d.rev.Pin.Path], d)
	}
	for _, d := range maps {
		same := users[d.rev.Pin.Path]
		if len(same) == 1 {
			unique = append(unique, d)
			continue
		}
		other := same[0]
		if other.rev.Key == d.rev.Key {
			other = same[1]
		}
		problems = append(problems, manifest.Problem{
			Place: d.At("spec.pin.path"), Object: d.Name(), Path: "spec.pin.path",
			Message: fmt.Sprintf("%s is also the pin of %s (%s)", d.rev.Pin.Path, other.Name(), other.Place),
		})
	}
	return unique, problems
}
