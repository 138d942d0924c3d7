// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package licences

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

const rule = "================================================================================\n"

// Notices is one text with what all modules ask to go with a binary, each wording once. The same modules make the same text,
// whatever their order.
func Notices(product string, modules []Module) string {
	modules = slices.SortedFunc(slices.Values(modules), func(a, b Module) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Version, b.Version))
	})
	modules = slices.CompactFunc(modules, func(a, b Module) bool { return a.Path == b.Path && a.Version == b.Version })
	var b strings.Builder
	fmt.Fprintf(&b, "%s is licensed under Apache-2.0 (see LICENSE). Its binary contains these modules:\n\n", product)
	holders := map[string][]string{} // of a text
	var order []string
	for _, m := range modules {
		fmt.Fprintf(&b, "  %s %s: %s\n", m.Path, m.Version, m.Licence)
		for _, t := range m.Texts {
			content := strings.TrimSpace(t.Content)
			if holders[content] == nil {
				order = append(order, content)
			}
			holders[content] = append(holders[content], m.Path+" ("+t.Name+")")
		}
	}
	for _, content := range order {
		b.WriteString("\n" + rule)
		for _, h := range holders[content] {
			b.WriteString(h + "\n")
		}
		b.WriteString(rule + "\n" + content + "\n")
	}
	return b.String()
}
