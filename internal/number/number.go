// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package number

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Ambiguous says why a bare number of a YAML text is refused, and what to write; it is empty for one that means the
// same everywhere: decimal digits without a leading zero, a fraction, an exponent, 0x1f.
func Ambiguous(bare string) string {
	digits := strings.TrimLeft(bare, "+-")
	if digits == "" || digits[0] < '0' || digits[0] > '9' {
		return ""
	}
	rest, zero := strings.CutPrefix(digits, "0")
	n, err := strconv.ParseInt(bare, 0, 64) // as the parsers of YAML 1.1 do
	switch {
	case zero && rest != "" && strings.Trim(rest, "0123456789") == "":
		decimal := strings.TrimLeft(rest, "0")
		if decimal == "" {
			decimal = "0"
		}
		decimal = bare[:len(bare)-len(digits)] + decimal
		if err != nil || fmt.Sprint(n) == decimal {
			return fmt.Sprintf("%s has a leading zero, which makes octal numbers of some: write %s", bare, decimal)
		}
		return fmt.Sprintf("%s is %d where YAML 1.1 is read, as by kubectl, and %s in quotes: write %d or %s, or quote a text", bare, n, decimal, n, decimal)
	case strings.HasPrefix(strings.ToLower(rest), "o") && zero, strings.HasPrefix(strings.ToLower(rest), "b") && zero, strings.Contains(digits, "_"):
		if err != nil {
			return fmt.Sprintf("%s is a number only without quotes: write plain digits", bare)
		}
		return fmt.Sprintf("%s is a number only without quotes: write %d", bare, n)
	}
	return ""
}

// Place is an ambiguous number in a YAML text.
type Place struct {
	// Path is the steps from the node that was searched, as in ".entries[7].value"; Node is the number.
	Path    string
	Node    *yaml.Node
	Message string
}

// Find lists the ambiguous numbers below a node. Aliases are not followed: what they stand for is found in its
// own place. skip says which members of the node itself are left out.
func Find(n *yaml.Node, skip ...string) []Place {
	f := finder{skip: skip}
	f.search(n, "")
	return f.found
}

type finder struct {
	skip  []string
	found []Place
}

func (f *finder) search(n *yaml.Node, path string) {
	switch n.Kind {
	case yaml.DocumentNode:
		for _, child := range n.Content {
			f.search(child, path)
		}
	case yaml.SequenceNode:
		for i, child := range n.Content {
			f.search(child, path+"["+strconv.Itoa(i)+"]")
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if name := n.Content[i].Value; path != "" || !slices.Contains(f.skip, name) {
				f.search(n.Content[i+1], path+"."+name)
			}
		}
	case yaml.ScalarNode:
		if message := OfNode(n); message != "" {
			f.found = append(f.found, Place{path, n, message})
		}
	}
}

// OfNode is Ambiguous of a scalar, if it is a bare number.
func OfNode(n *yaml.Node) string {
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle|yaml.TaggedStyle) != 0 {
		return ""
	}
	if tag := n.ShortTag(); tag != "!!int" && tag != "!!float" {
		return ""
	}
	return Ambiguous(n.Value)
}
