// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/inventory"
	"github.com/bpfmap-io/bpfmap-operator/internal/footprint"
)

func newList() *cobra.Command {
	var bpffs, output string
	var managed bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List every map of this machine and which BPFMap it belongs to",
		Long: `List every map of this machine: what the kernel says about it, and the BPFMap that it belongs to.

Enumerating maps needs CAP_SYS_ADMIN. Without it, only maps that are pinned in the BPF file system and
may be opened are listed. PROGS is how many loaded programs use a map; to tell, CAP_BPF with CAP_PERFMON is
needed, or CAP_SYS_ADMIN. Without, it is "?", and the JSON has no programs.`,
		Example: `  bpfmap list
  bpfmap list --managed -o wide
  bpfmap list --managed -o json | jq -r '.maps[] | select(.programs == [] and .heldByMaps == 0).owner'
  bpfmap list -o json | jq '.maps[] | select(.frozen)'`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			inv, err := inventory.Read(c.Context(), hostRoot(), bpffs)
			if err != nil {
				return err
			}
			if inv.Limited != nil {
				c.PrintErrf("Only pinned maps are listed: %v\n", inv.Limited)
			}
			for _, err := range inv.Unreadable {
				c.PrintErrf("Skipped: %v\n", err)
			}
			maps := listed(inv.Maps, managed)
			found, err := lookAtPrograms(c)
			if err != nil {
				return err
			}
			for i := range maps {
				maps[i].usedBy(found)
			}
			if output == "json" {
				return writeListJSON(c.OutOrStdout(), maps)
			}
			return writeListTable(c.OutOrStdout(), maps, output == "wide")
		},
	}
	addBPFFSFlag(c, &bpffs)
	addOutputFlag(c, &output, "table", "wide", "json")
	c.Flags().BoolVar(&managed, "managed", false, "list only managed maps, without their records")
	return c
}

func listed(maps []inventory.Map, managed bool) []mapInfo {
	all := []mapInfo{}
	for i := range maps {
		if m := &maps[i]; !managed || (m.Owner != "" && !m.Record) {
			all = append(all, infoOf(m))
		}
	}
	return all
}

func writeListJSON(w io.Writer, maps []mapInfo) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(struct {
		Maps []mapInfo `json:"maps"`
	}{maps})
}

func writeListTable(w io.Writer, maps []mapInfo, wide bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	header := "ID\tTYPE\tNAME\tKEY\tVALUE\tMAX-ENTRIES\tFLAGS\tMEMLOCK\tFROZEN\tPROGS\tOWNER"
	if wide {
		header += "\tBTF\tPINS\tUSED-BY"
	}
	_, _ = fmt.Fprintln(t, header) // the tabwriter keeps the first error for Flush
	for _, m := range maps {
		owner := m.Owner
		if m.Record {
			owner += " (record)"
		}
		_, _ = fmt.Fprintf(t, "%d\t%s\t%s\t%d\t%d\t%d\t%s\t%s\t%t\t%s\t%s", m.ID, m.Type, orDash(m.Name), m.KeySize,
			m.ValueSize, m.MaxEntries, orDash(strings.Join(m.Flags, ",")), footprint.Format(int64(m.MemlockBytes)), m.Frozen, m.programCount(), orDash(owner))
		if wide {
			_, _ = fmt.Fprintf(t, "\t%s\t%s\t%s", orDash(noZero(m.BTFID)), orDash(strings.Join(m.Pins, ",")), orDash(m.users()))
		}
		_, _ = fmt.Fprintln(t)
	}
	return t.Flush()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func noZero(n uint32) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(n), 10)
}
