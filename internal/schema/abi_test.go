// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema_test

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// TestLayoutsAreClangs holds sizes, alignments, offsets and bytes of random schemas against what clang makes of
// the same declarations. It needs clang and the headers of the kernel and the C library.
func TestLayoutsAreClangs(t *testing.T) {
	const batches, each = 2, 200
	if _, err := exec.LookPath("clang"); err != nil {
		t.Fatalf("this test needs clang and libc6-dev: %v", err)
	}
	for range batches {
		seed := rand.Uint64()
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			g := &generator{r: rand.New(rand.NewPCG(seed, 0))}
			var all []generated
			for len(all) < each {
				all = append(all, g.next(len(all)))
			}
			for i, want := range compiled(t, all) {
				compare(t, &all[i], want)
			}
		})
	}
}

// compare holds a schema against what the C program printed of its declaration.
func compare(t *testing.T, s *generated, want string) {
	t.Helper()
	l := s.layout
	got := []string{fmt.Sprintf("%d %d", l.Size(), l.Align())}
	for _, path := range s.paths {
		got = append(got, fmt.Sprint(offsetOf(l, path)))
	}
	b := make([]byte, l.Size())
	if err := l.Encode(b, []byte(s.value)); err != nil {
		got = append(got, err.Error())
	} else {
		got = append(got, hex.EncodeToString(b))
	}
	if got := strings.Join(got, " "); got != want {
		text, err := yaml.Marshal(s.schema)
		t.Errorf("%s%v\n%s\nvalue %s\npaths %v\ngot  %s\nwant %s", text, err, s.declaration, s.value, s.paths, got, want)
	}
}

// offsetOf is the offset of a member, by its path in C.
func offsetOf(l *schema.Layout, path string) int {
	offset := 0
	for step := range strings.SplitSeq(path, ".") {
		name, _, _ := strings.Cut(step, "[")
		for element, n := l.Element(); n > 0; element, n = l.Element() {
			l = element
		}
		for _, m := range l.Members() {
			if m.Name == name {
				offset, l = offset+m.Offset, m.Layout
				break
			}
		}
	}
	return offset
}

// compiled is what a program with all declarations prints, one line for each.
func compiled(t *testing.T, all []generated) []string {
	t.Helper()
	var c strings.Builder
	c.WriteString("#include <stddef.h>\n#include <stdio.h>\n#include <string.h>\n#include <linux/types.h>\n#include <linux/in6.h>\n" +
		"static void bytes(const void *v, size_t n) { for (size_t i = 0; i < n; i++) printf(\"%02x\", ((const unsigned char *)v)[i]); }\n")
	for i := range all {
		s := &all[i]
		fmt.Fprintf(&c, "%s;\nstatic void f%d(void) {\n\ts%d v;\n\tmemset(&v, 0, sizeof v);\n%s", s.declaration, i, i, s.assignments)
		fmt.Fprintf(&c, "\tprintf(\"%%zu %%zu \", sizeof v, _Alignof(s%d));\n", i)
		for _, path := range s.paths {
			fmt.Fprintf(&c, "\tprintf(\"%%zu \", offsetof(s%d, %s));\n", i, path)
		}
		c.WriteString("\tbytes(&v, sizeof v);\n\tputchar('\\n');\n}\n")
	}
	c.WriteString("int main(void) {\n")
	for i := range all {
		fmt.Fprintf(&c, "\tf%d();\n", i)
	}
	c.WriteString("\treturn 0;\n}\n")
	source, program := filepath.Join(t.TempDir(), "abi.c"), filepath.Join(t.TempDir(), "abi")
	if err := os.WriteFile(source, []byte(c.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	// What clang can't do well it warns of: a value that doesn't fit, an attribute that it ignores.
	if out, err := exec.Command("clang", "-Wall", "-Werror", "-Wno-unused", "-Wno-bitfield-constant-conversion", "-O0", "-o", program, source).CombinedOutput(); err != nil {
		t.Fatalf("compile: %v\n%s", err, out)
	}
	out, err := exec.Command(program).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}
