// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"fmt"
	"runtime"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/footprint"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

func newValidate() *cobra.Command {
	var in inputFlags
	var against programs
	var cpus int
	c := &cobra.Command{
		Use:   "validate -f FILE",
		Short: "Check manifests, without the kernel and without a cluster",
		Long: `Check manifests by compiling them, as apply and the controller do. It needs no privileges, touches
no map, and shows every problem with its file, line, entry and field. Exit code 1 if there is any.

With --object they are compared with the maps of a compiled program, too: type, sizes, capacity and flags, and
by the program's BTF the offset, size and meaning of each field. A BPFMap is compared with the map that its pin is
called by, or it itself; --map names another one.`,
		Example: `  bpfmap validate -f maps/
  bpfmap validate -f maps/ --object firewall.bpf.o --map weights=rule_weights
  kustomize build . | bpfmap validate -f -`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			maps, ok, err := in.compile(c)
			if err != nil {
				return err
			}
			found, err := against.compare(c, maps)
			if err != nil {
				return err
			}
			for _, d := range maps {
				verdict, fits := found[d.rev.Key]
				if !fits {
					ok = false
					continue
				}
				_, err := fmt.Fprintf(c.OutOrStdout(), "%s is valid (%s, %d of %d entries, %s)%s\n",
					id(d.rev.Key), d.rev.Shape.Type, d.rev.Contents.Len, d.rev.Shape.MaxEntries, memory(d.rev, cpus), verdict)
				if err != nil {
					return err
				}
			}
			if !ok {
				return &ExitError{Code: 1}
			}
			return nil
		},
	}
	in.add(c)
	against.add(c)
	c.Flags().IntVar(&cpus, "cpus", runtime.NumCPU(), "possible CPUs of the node for which kernel memory is estimated (default those of this machine)")
	return c
}

// memory is about how much kernel memory a map takes on a node, for people.
func memory(rev *revision.Revision, cpus int) string {
	e := footprint.Of(rev.Shape, cpus)
	text := "about " + footprint.Format(e.With(rev.Contents.Len))
	if e.Element > 0 && e.Elements > int64(rev.Contents.Len) {
		text += ", " + footprint.Format(e.Full()) + " when full,"
	}
	text += " of kernel memory on a node with " + strconv.Itoa(cpus) + " CPU"
	if cpus != 1 {
		text += "s"
	}
	return text
}
