// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package number_test

import (
	"testing"

	"go.yaml.in/yaml/v3"
	sigs "sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/internal/number"
)

func TestAmbiguous(t *testing.T) {
	for bare, want := range map[string]string{
		"010":   "010 is 8 where YAML 1.1 is read, as by kubectl, and 10 in quotes: write 8 or 10, or quote a text",
		"-010":  "-010 is -8 where YAML 1.1 is read, as by kubectl, and -10 in quotes: write -8 or -10, or quote a text",
		"007":   "007 has a leading zero, which makes octal numbers of some: write 7",
		"089":   "089 has a leading zero, which makes octal numbers of some: write 89",
		"00":    "00 has a leading zero, which makes octal numbers of some: write 0",
		"0o10":  "0o10 is a number only without quotes: write 8",
		"0b101": "0b101 is a number only without quotes: write 5",
		"1_000": "1_000 is a number only without quotes: write 1000",
		"0x_1F": "0x_1F is a number only without quotes: write 31",
		"1_0.5": "1_0.5 is a number only without quotes: write plain digits",
		"0":     "", "10": "", "-1": "", "+1": "", "0x1F": "", "0.5": "", "1e3": "", ".5": "", "-0": "", ".inf": "", "": "", "-": "",
	} {
		if got := number.Ambiguous(bare); got != want {
			t.Errorf("%s: %q, want %q", bare, got, want)
		}
	}
}

// TestFind finds bare numbers alone.
func TestFind(t *testing.T) {
	const text = "a: [010, '010', {b: 1_000, c: \"1_000\"}]\nskipped: 0640\nd: !!str 010\ne: 1:30\nf: |\n  010\ng: 2010-01-01\nh: 10.0.0.1\n"
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(text), &root); err != nil {
		t.Fatal(err)
	}
	found := number.Find(root.Content[0], "skipped")
	if len(found) != 2 || found[0].Path != ".a[0]" || found[1].Path != ".a[2].b" || found[1].Node.Line != 1 {
		t.Errorf("found %+v", found)
	}
}

// TestKubectlReads holds what the messages say against the parser that kubectl has.
func TestKubectlReads(t *testing.T) {
	for bare, want := range map[string]string{
		"010": "8", "-010": "-8", "089": "89", "0o10": "8", "0b101": "5", "1_000": "1000", "0x1F": "31", "1:30": `"1:30"`, "+5": "5",
	} {
		got, err := sigs.YAMLToJSONStrict([]byte(bare))
		if err != nil || string(got) != want {
			t.Errorf("%s is read as %s (%v), want %s", bare, got, err, want)
		}
	}
}
