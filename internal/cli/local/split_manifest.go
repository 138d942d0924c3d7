// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// splitMark begins each manifest that split writes.
const splitMark = "# Written by bpfmap split: "

// manifest is the ConfigMap of one part.
func (s *splitter) manifest(file string, data []byte, i, parts int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%spart %d of %d of %q.\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\n", splitMark, i, parts, file, quoted(partName(s.name, i, parts)))
	if s.namespace != "" {
		fmt.Fprintf(&b, "  namespace: %s\n", quoted(s.namespace))
	}
	b.WriteString("  labels:\n")
	for _, label := range s.labels {
		key, value, _ := strings.Cut(label, "=")
		fmt.Fprintf(&b, "    %s: %s\n", quoted(key), quoted(value))
	}
	switch {
	case s.gzip:
		fmt.Fprintf(&b, "binaryData:\n  %s: %s\n", quoted(s.key), base64.StdEncoding.EncodeToString(data))
	case isBlock(data):
		fmt.Fprintf(&b, "data:\n  %s: |\n", quoted(s.key))
		for line := range bytes.Lines(data) {
			b.WriteString("    ")
			b.Write(line)
		}
	default:
		fmt.Fprintf(&b, "data:\n  %s: %s\n", quoted(s.key), oneLine(data))
	}
	return b.Bytes()
}

// list are the ConfigMaps of all parts as one object.
func (s *splitter) list(parts [][]byte) *corev1.ConfigMapList {
	all := &corev1.ConfigMapList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "List"}}
	labels := map[string]string{}
	for _, label := range s.labels {
		key, value, _ := strings.Cut(label, "=")
		labels[key] = value
	}
	for i, data := range parts {
		m := corev1.ConfigMap{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
			ObjectMeta: metav1.ObjectMeta{Name: partName(s.name, i, len(parts)), Namespace: s.namespace, Labels: labels},
		}
		if s.gzip {
			m.BinaryData = map[string][]byte{s.key: data}
		} else {
			m.Data = map[string]string{s.key: string(data)}
		}
		all.Items = append(all.Items, m)
	}
	return all
}

// quoted is a short text as YAML, with quotes where it needs them: a name such as 12 would be a number.
func quoted(text string) string {
	out, err := yaml.Marshal(text)
	if err != nil {
		return fmt.Sprintf("%q", text)
	}
	return strings.TrimSuffix(string(out), "\n")
}

// isBlock says whether a text can be a literal block of YAML: it doesn't begin with a blank, which would be taken for
// indentation, and all of its characters may be there.
func isBlock(text []byte) bool {
	if text[0] == ' ' || text[0] == '\t' {
		return false
	}
	return bytes.IndexFunc(text, func(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsPrint(r) }) < 0
}

// oneLine is a text with quotes, in which everything that isn't plain is escaped.
func oneLine(text []byte) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range string(text) {
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\U%08X`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
