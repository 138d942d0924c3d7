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
)

func newList() *cobra.Command {
	var bpffs, output string
	var managed bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List every map of this machine, ours marked",
		Long: `List every map of this machine: what the kernel tells about it, and the BPFMap that it belongs to.

Enumerating maps needs CAP_SYS_ADMIN. Without it, those pinned in the BPF file system are listed, as
far as their modes allow.`,
		Example: `  bpfmap list
  bpfmap list --managed -o wide
  bpfmap list -o json | jq '.maps[] | select(.frozen)'`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			inv, err := inventory.Read(bpffs)
			if err != nil {
				return err
			}
			if inv.Limited != nil {
				c.PrintErrf("Only pinned maps are listed: %v\n", inv.Limited)
			}
			for _, err := range inv.Unreadable {
				c.PrintErrf("Passed over: %v\n", err)
			}
			maps := listed(inv.Maps, managed)
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

// listedMap is one map as -o json prints it.
type listedMap struct {
	ID           uint32   `json:"id"`
	Type         string   `json:"type"`
	Name         string   `json:"name,omitempty"`
	KeySize      uint32   `json:"keySize"`
	ValueSize    uint32   `json:"valueSize"`
	MaxEntries   uint32   `json:"maxEntries"`
	Flags        []string `json:"flags,omitempty"`
	MemlockBytes uint64   `json:"memlockBytes"`
	Frozen       bool     `json:"frozen"`
	BTFID        uint32   `json:"btfId,omitempty"`
	Owner        string   `json:"owner,omitempty"`
	Record       bool     `json:"record,omitempty"`
	Pins         []string `json:"pins,omitempty"`
}

func listed(maps []inventory.Map, managed bool) []listedMap {
	all := []listedMap{}
	for _, m := range maps {
		if managed && (m.Owner == "" || m.Record) {
			continue
		}
		l := listedMap{
			ID: m.ID, Type: m.Type.String(), Name: m.Name, KeySize: m.KeySize, ValueSize: m.ValueSize,
			MaxEntries: m.MaxEntries, MemlockBytes: m.Memlock, Frozen: m.Frozen, BTFID: m.BTFID,
			Owner: m.Owner, Record: m.Record, Pins: m.Pins,
		}
		if m.Flags != 0 {
			l.Flags = strings.Split(m.Flags.String(), "|")
		}
		all = append(all, l)
	}
	return all
}

func writeListJSON(w io.Writer, maps []listedMap) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(struct {
		Maps []listedMap `json:"maps"`
	}{maps})
}

func writeListTable(w io.Writer, maps []listedMap, wide bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	header := "ID\tTYPE\tNAME\tKEY\tVALUE\tMAX\tFLAGS\tMEMLOCK\tFROZEN\tOWNER"
	if wide {
		header += "\tBTF\tPINS"
	}
	_, _ = fmt.Fprintln(t, header) // the tabwriter keeps the first error for Flush
	for _, m := range maps {
		owner := m.Owner
		if m.Record {
			owner += " (record)"
		}
		_, _ = fmt.Fprintf(t, "%d\t%s\t%s\t%d\t%d\t%d\t%s\t%s\t%t\t%s", m.ID, m.Type, orDash(m.Name), m.KeySize,
			m.ValueSize, m.MaxEntries, orDash(strings.Join(m.Flags, ",")), binarySize(m.MemlockBytes), m.Frozen, orDash(owner))
		if wide {
			_, _ = fmt.Fprintf(t, "\t%s\t%s", orDash(noZero(m.BTFID)), orDash(strings.Join(m.Pins, ",")))
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

// binarySize is a number of bytes as Kubernetes writes it, such as 8.1Mi.
func binarySize(n uint64) string {
	units := []string{"", "Ki", "Mi", "Gi", "Ti"}
	size, unit := float64(n), 0
	for size >= 1024 && unit < len(units)-1 {
		size, unit = size/1024, unit+1
	}
	if unit == 0 {
		return strconv.FormatUint(n, 10)
	}
	return strconv.FormatFloat(size, 'f', 1, 64) + units[unit]
}
