// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"net/netip"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/rawjson"
)

// Hint is what could be meant by a line of the format Lines that isn't a key, in parentheses and with a blank before them;
// empty if nobody knows.
func Hint(from *v1alpha1.EntrySource, key []byte) string {
	if from.Format != v1alpha1.SourceLines || len(key) == 0 || !rawjson.IsString(key) {
		return ""
	}
	line, err := rawjson.Text(key)
	if err != nil {
		return ""
	}
	if format := formatOf(line); format != "" {
		return " (this looks like format: " + string(format) + ")"
	}
	for _, sign := range []string{";", "//", "!", "--"} {
		if strings.HasPrefix(line, sign) || strings.Contains(line, " "+sign) || strings.Contains(line, "\t"+sign) {
			return ` (text.comments says what begins a comment: ["` + sign + `"])`
		}
	}
	for _, separator := range []string{"\t", ",", ";", "|", " "} {
		if first, _, ok := strings.Cut(line, separator); ok && isPlace(strings.TrimSpace(first)) && !strings.Contains(line, " - ") {
			return ` (text.separator says what stands between columns, as "` + strings.ReplaceAll(separator, "\t", `\t`) + `" may here)`
		}
	}
	return ""
}

// Hint is what could be meant by a member or a column that isn't part of an entry, as Hint has it.
func (e *Error) Hint(from *v1alpha1.EntrySource) string {
	switch {
	case from.Mapping != nil || !strings.HasPrefix(e.Message, "unknown "):
		return ""
	case strings.HasPrefix(e.Message, `unknown field "nftables"`):
		return " (this looks like format: " + string(v1alpha1.SourceNFTables) + ")"
	}
	return " (mapping says what of an item is the key, and where the items are)"
}

// formatOf is the format that a line is certainly of; empty for others.
func formatOf(line string) v1alpha1.SourceFormat {
	first, rest, _ := strings.Cut(line, " ")
	switch {
	case (first == "create" || first == "add") && strings.Contains(rest, " "):
		return v1alpha1.SourceIPSet
	case strings.HasPrefix(line, `{"nftables"`):
		return v1alpha1.SourceNFTables
	case strings.HasPrefix(line, "{") || line == "[":
		return v1alpha1.SourceJSON
	case isHostsLine([]byte(line)) && !strings.ContainsAny(rest, "/;#,|") && strings.ContainsAny(rest, "abcdefghijklmnopqrstuvwxyz"):
		return v1alpha1.SourceHosts
	}
	if i := strings.LastIndexByte(line, ':'); i > 0 {
		if from, _, ok := strings.Cut(line[i+1:], "-"); ok && isPlace(strings.TrimSpace(from)) && !isPlace(line[:i]) {
			return v1alpha1.SourceP2P
		}
	}
	return ""
}

// isPlace says whether a text is an address or a prefix.
func isPlace(text string) bool {
	addr, _, _ := strings.Cut(text, "/")
	_, err := netip.ParseAddr(addr)
	return err == nil
}
