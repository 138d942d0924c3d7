// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package loop_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/test/await"
	"github.com/bpfmap-io/bpfmap-operator/test/docs"
)

// prefixes is the map of docs/live-contents.md.
const prefixes = `
spec:
  type: LPMTrie
  key: {type: ipv4Prefix}
  value: {fields: [{name: action, type: u8}, {name: rule, type: u32}]}
  maxEntries: 16
  nodeSelector: {world: NAMESPACE}
  entries:
  - {key: 192.0.2.0/24, value: {action: 1, rule: 1}}
  - {key: 203.0.113.0/24, value: {action: 1, rule: 7}}
`

// TestContentsAsShown runs what docs/live-contents.md shows, with the names of this world in place of its namespace and nodes,
// and compares what is printed.
func TestContentsAsShown(t *testing.T) {
	w := newWorld(t)
	nodes := []*node{withContents(t, w), withContents(t, w), withContents(t, w)}
	slices.SortFunc(nodes, func(a, b *node) int { return cmp.Compare(a.name, b.name) })
	w.apply("blocklist", prefixes)
	w.awaitReadyOn("blocklist", nodes...)
	nodes[2].setHex(t, "blocklist", "18000000cb007100", "0000000007000000")
	reader := newDesk(t, w, "reader")
	reader.may(t, w.namespace, read())

	here := []string{"-n edge ", "-n " + w.namespace + " ", "edge/", w.namespace + "/"}
	back := []string{w.namespace + "/", "edge/"}
	for i, n := range nodes {
		shown := fmt.Sprintf("worker-%d", i+1)
		here, back = append(here, shown, n.name), append(back, n.name, shown)
	}
	for _, step := range docs.Steps(docs.ShownBy(t, "docs/live-contents.md").Next()) {
		args := strings.Fields(strings.NewReplacer(here...).Replace(step.Command))
		if len(args) < 3 || args[0] != "kubectl" || args[1] != "bpfmap" {
			t.Fatalf("%s isn't a command of the plugin: %s", step.Name, step.Command)
		}
		await.Nil(t, limit, func() error { // the API server learns of rights by a watch of its own
			out, errOut, _ := reader.run(t, args[2:]...)
			if out = strings.NewReplacer(back...).Replace(out); !docs.Alike(step.Output, out) {
				return fmt.Errorf("%s: the page shows\n%s\nand it prints\n%s%s", step.Name, step.Output, out, errOut)
			}
			return nil
		})
	}
}
