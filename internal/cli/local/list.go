// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/inventory"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/structured"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/terminal"
	"github.com/bpfmap-io/bpfmap-operator/internal/footprint"
	"github.com/bpfmap-io/bpfmap-operator/internal/inuse"
)

// mapList are the maps of a machine, as list and top print them with -o json and yaml.
type mapList struct {
	Maps []mapInfo `json:"maps"`
}

func newList() *cobra.Command {
	var bpffs, output string
	var which mapFilter
	c := &cobra.Command{
		Use:   "list",
		Short: "List the maps of this machine and which BPFMap each belongs to",
		Long: `List the maps of this machine: what the kernel says about them, and the BPFMap that each belongs to. The records in
which the operator keeps what it owns are maps, too; they are listed with --all.

ENTRIES is what the kernel counts: of hashes (since Linux 6.6) and of tries, with CAP_BPF (of tries, with
CAP_PERFMON, too). It is "-" for arrays, which are always full, and for all other types; "bpfmap map info --count"
reads a map to count.

Enumerating maps needs CAP_SYS_ADMIN. Without it, only maps that are pinned in the BPF file system and
may be opened are listed. PROGS, with -o wide, is how many loaded programs use a map; to tell, CAP_BPF with
CAP_PERFMON is needed, or CAP_SYS_ADMIN. Without, it is "?", and the JSON has no programs.`,
		Example: `  bpfmap list
  bpfmap list -n edge --type LPMTrie -o wide
  bpfmap list --name 'rate_*'
  bpfmap list --managed -o json | jq -r '.maps[] | select(.programs == [] and .heldByMaps == 0).owner'`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := which.check(); err != nil {
				return err
			}
			var found *inuse.Inventory
			if output != structured.Table { // before counting, which takes programs as well
				var err error
				if found, err = lookAtPrograms(c); err != nil {
					return err
				}
			}
			maps, err := readMaps(c, bpffs, &which)
			if err != nil {
				return err
			}
			if err := usedBy(c, maps, found); err != nil {
				return err
			}
			if structured.IsDocument(output) {
				return writeDocument(c, output, mapList{maps})
			}
			return writeListTable(screen(c), maps, output == structured.Wide)
		},
	}
	addBPFFSFlag(c, &bpffs)
	structured.AddFlag(c, &output, structured.Table, structured.Wide, structured.JSON, structured.YAML)
	which.add(c)
	return c
}

// mapFilter says which maps are listed.
type mapFilter struct {
	namespace, typ, name string
	managed, all         bool
}

func (f *mapFilter) add(c *cobra.Command) {
	c.Flags().StringVarP(&f.namespace, "namespace", "n", "", "only maps of BPFMaps in this namespace")
	c.Flags().StringVar(&f.typ, "type", "", "only maps of this type, as in Hash or BPF_MAP_TYPE_HASH")
	c.Flags().StringVar(&f.name, "name", "", "only maps whose kernel name, BPFMap or pin is called so; * and ? stand for any characters")
	c.Flags().BoolVar(&f.managed, "managed", false, "only maps that belong to a BPFMap")
	c.Flags().BoolVarP(&f.all, "all", "a", false, "the operator's own records, too")
	completeFlag(c, "namespace", completeNamespaces)
	completeFlag(c, "type", completeMapTypes)
}

// check says what is wrong with the flags.
func (f *mapFilter) check() error {
	if f.typ != "" {
		t, err := parseMapType(f.typ)
		if err != nil {
			return err
		}
		f.typ = t.String()
	}
	if _, err := path.Match(f.name, ""); err != nil {
		return Usagef("--name %s: is not a valid pattern: %w", f.name, err)
	}
	return nil
}

// has says whether a map is to be listed.
func (f *mapFilter) has(m *inventory.Map) bool {
	namespace, name, _ := strings.Cut(m.Owner, "/")
	switch {
	case m.Record && !f.all,
		f.managed && m.Owner == "",
		f.namespace != "" && namespace != f.namespace,
		f.typ != "" && m.Type.String() != f.typ:
		return false
	case f.name == "":
		return true
	}
	names := []string{m.Name, name, m.Owner}
	for _, pin := range m.Pins {
		names = append(names, path.Base(pin))
	}
	return slices.ContainsFunc(names, func(name string) bool {
		is, _ := path.Match(f.name, name) // the pattern was checked
		return is && name != ""
	})
}

// maxSkipped bounds how many pins are named that can't be opened: for most people it is all of them, for one reason.
const maxSkipped = 5

// readMaps are the maps of the machine that a filter has. What can't be read is printed.
func readMaps(c *cobra.Command, bpffs string, which *mapFilter) ([]mapInfo, error) {
	inv, err := inventory.ReadCounted(c.Context(), hostRoot(), bpffs)
	if err != nil {
		return nil, err
	}
	if inv.Limited != nil {
		c.PrintErrf("Only pinned maps are listed: %v\n", inv.Limited)
	}
	for i, err := range inv.Unreadable {
		if i == maxSkipped {
			c.PrintErrf("Skipped: and %d more\n", len(inv.Unreadable)-i)
			break
		}
		c.PrintErrf("Skipped: %v\n", err)
	}
	return which.infos(&inv), nil
}

// infos are the maps of an inventory that the filter has.
func (f *mapFilter) infos(inv *inventory.Inventory) []mapInfo {
	all := []mapInfo{}
	for i := range inv.Maps {
		if m := &inv.Maps[i]; f.has(m) {
			all = append(all, infoOf(m))
		}
	}
	return all
}

// writeListTable writes the table, which is made to fit 80 columns; the wide one has everything.
func writeListTable(o *terminal.Output, maps []mapInfo, wide bool) error {
	t := terminal.Table{Columns: []terminal.Column{
		{Title: "ID", Right: true}, {Title: "TYPE", Shrink: 2}, {Title: "NAME"}, {Title: "ENTRIES", Right: true}, {Title: "FILL", Right: true},
		{Title: "MEMORY", Right: true}, {Title: "OWNER", Shrink: 1},
	}}
	if wide {
		t.Columns = append(t.Columns, []terminal.Column{
			{Title: "KEY", Right: true}, {Title: "VALUE", Right: true}, {Title: "MAX-ENTRIES", Right: true}, {Title: "FLAGS"},
			{Title: "FROZEN"}, {Title: "PROGS", Right: true}, {Title: "BTF"}, {Title: "PINS"}, {Title: "USED-BY"},
		}...)
	}
	for i := range maps {
		m := &maps[i]
		owner := m.Owner
		if m.Record {
			owner += " (record)"
		}
		row := []any{m.ID, m.Type, orDash(m.Name), m.entriesText(), terminal.Cell{Text: m.fillText(), Style: m.fillStyle()},
			footprint.Format(int64(m.MemlockBytes)), orDash(owner)}
		if wide {
			row = append(row, m.KeySize, m.ValueSize, m.MaxEntries, orDash(strings.Join(m.Flags, ",")), m.Frozen, m.programCount(),
				orDash(noZero(m.BTFID)), orDash(strings.Join(m.Pins, ",")), orDash(m.users()))
		}
		t.Row(row...)
	}
	return t.Write(o)
}

// The fill from which a map stands out.
const (
	nearlyFull = 80
	full       = 95
)

// fillStyle makes maps stand out that are nearly full, or full. LRU maps make room themselves.
func (info *mapInfo) fillStyle() terminal.Style {
	percent, _ := info.fill()
	switch {
	case strings.HasPrefix(info.Type, "LRU"), percent < nearlyFull:
		return terminal.Plain
	case percent < full:
		return terminal.Yellow
	}
	return terminal.Red
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
