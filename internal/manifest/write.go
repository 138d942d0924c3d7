// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// Document is a BPFMap to be written, with remarks for people.
type Document struct {
	Namespace, Name string
	Spec            v1alpha1.BPFMapSpec
	// Comments are lines in front of it.
	Comments []string
	// Notes are remarks on lines of the spec, by the names of its members, such as "maxEntries".
	Notes map[string]string
	// Entries are the elements of spec.entries in JSON, which must not be in Spec, and remarks, which begin with
	// "#". Each becomes one line.
	Entries []string
}

// Write writes documents as YAML that kubectl takes, as a person would write them: short structs on one line.
func Write(w io.Writer, docs []Document) error {
	var b bytes.Buffer
	for i := range docs {
		if i > 0 {
			b.WriteString("---\n")
		}
		if err := docs[i].append(&b); err != nil {
			return fmt.Errorf("write BPFMap %s: %w", docs[i].Name, err)
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (d *Document) append(b *bytes.Buffer) error {
	for _, line := range d.Comments {
		comment(b, line)
	}
	object := struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct {
			Namespace string `json:"namespace,omitempty"`
			Name      string `json:"name"`
		} `json:"metadata"`
		Spec v1alpha1.BPFMapSpec `json:"spec"`
	}{APIVersion: v1alpha1.GroupVersion.String(), Kind: "BPFMap", Spec: d.Spec}
	object.Metadata.Namespace, object.Metadata.Name = d.Namespace, d.Name
	text, err := json.Marshal(object)
	if err != nil {
		return err
	}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil { // JSON is YAML, and keeps the order of fields
		return err
	}
	style(root.Content[0], 0)
	d.note(member(root.Content[0], "spec"))
	encoder := yaml.NewEncoder(b)
	encoder.SetIndent(2)
	encoder.CompactSeqIndent()
	if err := encoder.Encode(&root); err != nil {
		return err
	}
	if len(d.Entries) > 0 {
		b.WriteString("  entries:\n")
	}
	for _, e := range d.Entries {
		if strings.HasPrefix(e, "#") {
			b.WriteString("  " + e + "\n")
			continue
		}
		b.WriteString("  - " + e + "\n")
	}
	return nil
}

// comment writes one line of a comment, whatever is in it.
func comment(b *bytes.Buffer, line string) {
	b.WriteString(strings.TrimRight("# "+strings.NewReplacer("\n", " ", "\r", " ").Replace(line), " ") + "\n")
}

// note puts remarks behind members of the spec.
func (d *Document) note(spec *yaml.Node) {
	for i := 0; spec != nil && i+1 < len(spec.Content); i += 2 {
		text, ok := d.Notes[spec.Content[i].Value]
		if !ok {
			continue
		}
		if value := spec.Content[i+1]; value.Style&yaml.FlowStyle != 0 || value.Kind == yaml.ScalarNode {
			value.LineComment = "# " + text
		} else {
			spec.Content[i].HeadComment = "# " + text
		}
	}
}

func member(n *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	return nil
}

// maxFlow is how many scalars stand on one line.
const maxFlow = 12

// style lays a node out: the object and its spec over many lines, what is small and holds no structs on one.
func style(n *yaml.Node, depth int) {
	n.Style &^= yaml.FlowStyle
	switch n.Kind {
	case yaml.ScalarNode:
		if n.Tag == "!!str" && plain.MatchString(n.Value) && !reserved[strings.ToLower(n.Value)] {
			n.Style = 0
		}
	case yaml.MappingNode, yaml.SequenceNode:
		for i, child := range n.Content {
			style(child, depth+1)
			if n.Kind == yaml.MappingNode && i%2 == 0 && (child.Value == "enum" || child.Value == "flags") {
				sortByNumber(n.Content[i+1])
			}
		}
		if depth > 1 || n.Kind == yaml.MappingNode && depth == 1 && member(n, "type") == nil {
			if scalars, nested := weigh(n); !nested && scalars <= maxFlow || scalars == 0 {
				n.Style |= yaml.FlowStyle
			}
		}
	}
}

// sortByNumber orders names by what they stand for, as C's enumerators mostly are.
func sortByNumber(n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		return
	}
	type pair struct {
		name, number *yaml.Node
		n            int64
	}
	var pairs []pair
	for i := 0; i+1 < len(n.Content); i += 2 {
		p := pair{name: n.Content[i], number: n.Content[i+1]}
		if err := p.number.Decode(&p.n); err != nil {
			return // no numbers
		}
		pairs = append(pairs, p)
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return cmp.Compare(a.n, b.n) })
	n.Content = n.Content[:0]
	for _, p := range pairs {
		n.Content = append(n.Content, p.name, p.number)
	}
}

// weigh counts the scalars in a node; nested says that it holds fields, which read better one a line.
func weigh(n *yaml.Node) (scalars int, nested bool) {
	if n.Kind == yaml.ScalarNode {
		return 1, false
	}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			nested = nested || child.Value == "fields"
			continue
		}
		s, inner := weigh(child)
		scalars += s
		nested = nested || inner
	}
	return scalars, nested
}

// plain strings need no quotes, in any version of YAML, unless they are reserved.
var plain = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_./-]*$`)

var reserved = map[string]bool{"y": true, "n": true, "yes": true, "no": true, "on": true, "off": true, "true": true, "false": true, "null": true}
