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

	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/manifest"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// defaultNamespace is that of manifests that have none.
const defaultNamespace = "default"

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

func (f *inputFlags) read(c *cobra.Command) manifest.Set {
	o := manifest.Options{
		Paths: f.paths, Recursive: f.recursive, Stdin: c.InOrStdin(),
		Namespace: f.namespace, NamespaceEnforced: f.namespace != "",
	}
	if o.Namespace == "" {
		o.Namespace = defaultNamespace
	}
	return manifest.Read(o)
}

// declared is a manifest and what it compiles to.
type declared struct {
	manifest.Manifest
	rev *revision.Revision
	// sources are what was read from each source.
	sources []compile.SourceReport
}

// printSources says what was left out of each source of a manifest, in a line each.
func printSources(c *cobra.Command, m manifest.Manifest, sources []compile.SourceReport) {
	for i := range sources {
		s := &sources[i]
		if len(s.LeftOut) == 0 {
			continue
		}
		c.PrintErrf("%s: spec.entriesFrom[%d] (%s): %s; left out: %s\n", m.Name(), s.Index, s.Name, text.Count(s.Entries, "entry", "entries"), s.Summary())
	}
}

// id is how kubectl names the object.
func id(key revision.Key) string { return "bpfmap.bpfmap.io/" + key.String() }

// compile reads and compiles everything. What is wrong is printed, with its place; ok is false then.
// The other maps are returned all the same.
func (f *inputFlags) compile(c *cobra.Command) (maps []declared, ok bool, err error) {
	if len(f.paths) == 0 {
		return nil, false, errors.New("nothing to read: -f FILE is needed")
	}
	set := f.read(c)
	for _, s := range set.Skipped {
		c.PrintErrf("Skipped: %s: %s is not a BPFMap\n", s.Place, s.Object)
	}
	ok = len(set.Problems) == 0
	for _, p := range set.Problems {
		printError(c, p)
	}
	given, err := f.documents.configMaps(cmp.Or(f.namespace, defaultNamespace))
	if err != nil {
		return nil, false, err
	}
	set.Sources = append(given, set.Sources...) // the first of a name is found
	fetched := &documents{ctx: c.Context(), offline: f.documents.offline, known: map[string]fetchedText{}}
	for _, m := range set.Manifests {
		if ctx := c.Context(); ctx.Err() != nil {
			return nil, false, context.Cause(ctx)
		}
		if f.stateless && refuseLifetimes(c, &m) {
			ok = false
			continue
		}
		result, err := compileManifest(&m, set.Sources, fetched)
		if result != nil {
			printSources(c, m, result.Sources)
		}
		if err != nil {
			printProblems(c, m, err)
			ok = false
			continue
		}
		maps = append(maps, declared{m, result.Revision, result.Sources})
	}
	maps, unique := refusePinConflicts(c, maps)
	ok = ok && unique && refuseGroups(c, maps)
	if len(maps) == 0 && ok {
		return nil, false, errors.New("no BPFMap found")
	}
	return maps, ok, nil
}

func compileManifest(m *manifest.Manifest, sources []manifest.Source, fetched *documents) (*compile.Result, error) {
	found, err := compile.Gather(&m.Map.Spec, objects{m.Map.Namespace, sources, m.Folder(), fetched})
	if err != nil {
		return nil, err
	}
	return compile.Run(m.Map, compile.Input{Sources: found, Now: time.Now()})
}

// refuseLifetimes prints which sources have lifetimes from the first sight, and says whether there is one.
func refuseLifetimes(c *cobra.Command, m *manifest.Manifest) (refused bool) {
	for i := range m.Map.Spec.EntriesFrom {
		after := m.Map.Spec.EntriesFrom[i].ExpireAfter.Duration
		if after == 0 {
			continue
		}
		refused = true
		path := fmt.Sprintf("spec.entriesFrom[%d].expireAfter", i)
		printError(c, manifest.Problem{Place: m.At(path), Object: m.Name(), Path: path, Message: fmt.Sprintf(
			"%s: only the controller remembers when a source held a key first: leave expireAfter out, or let the source say by expires (mapping.expires) when each entry is to go", after)})
	}
	return refused
}

// printProblems prints each problem of a manifest with its place.
func printProblems(c *cobra.Command, m manifest.Manifest, err error) {
	var e *compile.Error
	if !errors.As(err, &e) {
		printError(c, manifest.Problem{Place: m.Place, Object: m.Name(), Message: err.Error()})
		return
	}
	for _, p := range e.Problems {
		printError(c, manifest.Problem{Place: m.At(p.Path), Object: m.Name(), Path: p.Path, Message: p.Message})
	}
	if more := e.Total - len(e.Problems); more > 0 {
		printError(c, manifest.Problem{Place: m.Place, Object: m.Name(), Message: fmt.Sprintf("and %d more problems", more)})
	}
}

// refusePinConflicts prints and drops maps that share a pin: which one gets it would depend on the
// order.
func refusePinConflicts(c *cobra.Command, maps []declared) (unique []declared, ok bool) {
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
		printError(c, manifest.Problem{
			Place: d.At("spec.pin.path"), Object: d.Name(), Path: "spec.pin.path",
			Message: fmt.Sprintf("%s is also the pin of %s (%s)", d.rev.Pin.Path, other.Name(), other.Place),
		})
	}
	return unique, len(unique) == len(maps)
}
