// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"fmt"
	"runtime"
	"slices"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/structured"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/terminal"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/footprint"
	"github.com/bpfmap-io/bpfmap-operator/internal/manifest"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// maxCPUs is how many CPUs a kernel can be built for (CONFIG_NR_CPUS).
const maxCPUs = 8192

func newValidate() *cobra.Command {
	var in inputFlags
	var against programs
	var cpus int
	var output string
	c := &cobra.Command{
		Use:   "validate -f FILE",
		Short: "Check manifests, without the kernel and without a cluster",
		Long: `Check manifests by compiling them, as apply and the controller do. It needs no privileges, touches
no map, and shows every problem with its file, line, entry and field. Exit code 1 if there is any.

With --object they are compared with the maps of a compiled program, too: type, sizes, capacity and flags, and
by the program's BTF the offset, size and meaning of each field. A BPFMap is compared with the map that its pin is
called by, or it itself; --map names another one.

ConfigMaps and Secrets that entries come from are looked for among the manifests. With --missing-sources=ignore those that
aren't there, such as a feed that a CronJob writes in the cluster, are named in a warning, and all else is checked; so are
artifacts, and with --offline http sources. --from-file gives a sample of their contents.

A pin that agents refuse without a configuration that allows it is a warning. For CI, -o github writes annotations
of GitHub Actions, sarif a SARIF 2.1.0 log, and junit a report with a test case for each BPFMap.`,
		Example: `  bpfmap validate -f maps/
  bpfmap validate -f maps/ --object firewall.bpf.o --map weights=rule_weights
  bpfmap validate -f maps/ --missing-sources=ignore -o github
  kustomize build . | bpfmap validate -f -`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if cpus < 0 || cpus > maxCPUs {
				return Usagef("--cpus %d: must be between 1 and %d; 0 for as many as this machine has", cpus, maxCPUs)
			}
			if cpus == 0 {
				cpus = runtime.NumCPU()
			}
			l, err := in.load(c)
			if err != nil {
				return err
			}
			if len(l.maps) == 0 && l.isValid() {
				l.print(c)
				return errNoBPFMap
			}
			r, err := reportOn(l, &against, cpus)
			if err != nil {
				return err
			}
			if err := r.write(c, l, output); err != nil {
				return err
			}
			if !r.Valid {
				return &ExitError{Code: ExitFailed}
			}
			return nil
		},
	}
	in.add(c)
	against.add(c)
	c.Flags().Var(&structured.Choice{Value: &in.documents.missing, Words: []string{missingError, missingIgnore}}, "missing-sources",
		"what sources are that can't be had here: an error, or ignored with a warning")
	in.documents.missing = missingError
	completeFlag(c, "missing-sources", words([]string{missingError, missingIgnore}))
	c.Flags().IntVar(&cpus, "cpus", 0, "possible CPUs of the node for which kernel memory is estimated (default those of this machine)")
	structured.AddFlag(c, &output, structured.Table, structured.Wide, structured.JSON, structured.YAML, outGitHub, outSARIF, outJUnit)
	return c
}

// validationReport is what validate prints with -o json.
type validationReport struct {
	Valid bool           `json:"valid"`
	Maps  []validatedMap `json:"maps"`
	// Problems are all findings, those of documents that are not a BPFMap as well.
	Problems []reportedProblem `json:"problems"`
}

// validatedMap is one BPFMap. What follows from its contents is there only if it is valid.
type validatedMap struct {
	BPFMap     string `json:"bpfMap"`
	File       string `json:"file"`
	Line       int    `json:"line,omitempty"`
	Valid      bool   `json:"valid"`
	Type       string `json:"type,omitempty"`
	Entries    int    `json:"entries,omitempty"`
	MaxEntries uint32 `json:"maxEntries,omitempty"`
	// MemoryBytes is about how much kernel memory the map takes on a node, MemoryBytesFull once it is full.
	MemoryBytes     int64 `json:"memoryBytes,omitempty"`
	MemoryBytesFull int64 `json:"memoryBytesFull,omitempty"`

	verdict, memory string
}

// reportedProblem is a finding with its place. Line and Column count from 1; 0 is unknown.
type reportedProblem struct {
	Severity string `json:"severity"`
	File     string `json:"file"`
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"`
	BPFMap   string `json:"bpfMap,omitempty"`
	Path     string `json:"path,omitempty"`
	Message  string `json:"message"`
}

// reportOn looks at what was loaded, and compares it with programs.
func reportOn(l *loaded, against *programs, cpus int) (*validationReport, error) {
	for _, d := range l.maps {
		if err := (engine.PinPrefixes{}).Allow(d.rev.Key, d.rev.Pin.Path); err != nil {
			l.found(severityWarning, manifest.Problem{Place: d.At("spec.pin.path"), Object: d.Name(), Path: "spec.pin.path", Message: err.Error()})
		}
	}
	verdicts, err := against.compare(l)
	if err != nil {
		return nil, err
	}
	r := &validationReport{Maps: []validatedMap{}, Problems: []reportedProblem{}}
	compiled := map[string]*declared{}
	for i := range l.maps {
		compiled[l.maps[i].Name()] = &l.maps[i]
	}
	for _, f := range l.findings {
		r.Problems = append(r.Problems, reportedProblem{f.severity, f.Place.File, f.Place.Line, f.Place.Column, f.Object, f.Path, f.Message})
	}
	for i := range l.manifests {
		m := &l.manifests[i]
		v := validatedMap{BPFMap: m.Name(), File: m.Place.File, Line: m.Place.Line}
		if d := compiled[m.Name()]; d != nil {
			v.describe(d, cpus)
			v.verdict, v.Valid = verdicts[d.rev.Key], has(verdicts, d.rev.Key)
		}
		r.Maps = append(r.Maps, v)
	}
	r.Valid = l.isValid() && !slices.ContainsFunc(r.Maps, func(m validatedMap) bool { return !m.Valid })
	return r, nil
}

func has[K comparable, V any](m map[K]V, key K) bool {
	_, ok := m[key]
	return ok
}

// describe notes what follows from a manifest that compiles.
func (v *validatedMap) describe(d *declared, cpus int) {
	e := footprint.Of(d.rev.Shape, cpus)
	v.Type, v.Entries, v.MaxEntries = string(d.rev.Shape.Type), d.rev.Contents.Len, d.rev.Shape.MaxEntries
	v.MemoryBytes, v.MemoryBytesFull = e.With(d.rev.Contents.Len), e.Full()
	v.memory = memory(d.rev, cpus)
}

// write writes the report in a format.
func (r *validationReport) write(c *cobra.Command, l *loaded, output string) error {
	switch output {
	case structured.JSON, structured.YAML:
		return writeDocument(c, output, r)
	case outSARIF:
		return writeDocument(c, structured.JSON, r.sarif())
	case outJUnit:
		return r.writeJUnit(c.OutOrStdout())
	case outGitHub:
		return r.writeGitHub(c.OutOrStdout())
	}
	l.print(c)
	for i := range r.Maps {
		m := &r.Maps[i]
		if !m.Valid {
			continue
		}
		line := fmt.Sprintf("bpfmap.bpfmap.io/%s is valid (%s, %s, %s)%s\n", m.BPFMap, m.Type, m.capacity(), m.memory, m.verdict)
		if err := screen(c).Lines(line, func(string) terminal.Style { return terminal.Plain }); err != nil {
			return err
		}
	}
	return nil
}

// capacity is how many of its elements a map declares, or how large it is.
func (v *validatedMap) capacity() string {
	switch maptype.ByName(v.Type).Capacity {
	case maptype.Bytes:
		return fmt.Sprintf("%d bytes", v.MaxEntries)
	case maptype.Pages:
		return text.Count(int(v.MaxEntries), "page", "pages")
	case maptype.Unbounded:
		return "as many entries as are made"
	case maptype.Elements, maptype.CPUs:
	}
	return fmt.Sprintf("%d of %d entries", v.Entries, v.MaxEntries)
}

// memory is about how much kernel memory a map takes on a node, for people.
func memory(rev *revision.Revision, cpus int) string {
	e := footprint.Of(rev.Shape, cpus)
	about := "about " + footprint.Format(e.With(rev.Contents.Len))
	if e.Element > 0 && e.Elements > int64(rev.Contents.Len) {
		about += ", " + footprint.Format(e.Full()) + " when full,"
	}
	return about + " of kernel memory on a node with " + text.Count(cpus, "CPU", "CPUs")
}
