// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package why

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin/overview"
)

const (
	// maxNamed is how many nodes of a group a sentence names.
	maxNamed = 3
	// maxQuoted bounds, in bytes, what is quoted of a pod.
	maxQuoted = 256
)

// on is "on node-a, node-b", "on 7 nodes (node-a, node-b, node-c, …)" or "on all 7 nodes".
func on(nodes []string, all int) string {
	switch n := len(nodes); {
	case n == all && n > 1:
		return fmt.Sprintf("on all %d nodes", n)
	case n > maxNamed:
		return fmt.Sprintf("on %d nodes (%s, …)", n, strings.Join(nodes[:maxNamed], ", "))
	}
	return "on " + strings.Join(nodes, ", ")
}

// capital begins a sentence.
func capital(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[size:]
}

// plain is a text of Markdown without its marks.
func plain(s string) string { return strings.ReplaceAll(s, "`", "") }

// since is " for 5m"; empty if the time isn't known.
func (e *Evidence) since(t *metav1.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return " for " + overview.Age(t, e.Now)
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// For puts names where what to do has MAP and NODE.
func (a *Answer) For(namespace, name string, nodes ...string) {
	pairs := []string{" MAP", " -n " + namespace + " " + name}
	if len(nodes) == 1 {
		pairs = append(pairs, " NODE", " "+nodes[0])
	}
	replacer := strings.NewReplacer(pairs...)
	for i := range a.Do {
		a.Do[i] = replacer.Replace(a.Do[i])
	}
}
