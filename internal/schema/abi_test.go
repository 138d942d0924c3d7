// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema_test

import (
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
	"github.com/bpfmap-io/bpfmap-operator/test/clang"
)

// TestLayoutsAreClangs holds sizes, alignments, offsets and bytes of random schemas against what clang makes of
// the same declarations in a BPF program. It needs clang.
func TestLayoutsAreClangs(t *testing.T) {
	const batches, each = 2, 200
	if _, err := exec.LookPath("clang"); err != nil {
		t.Fatalf("this test needs clang: %v", err)
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

// compare holds a schema against what clang made of its declaration.
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

// prologue has the kernel's types by their names, so that no headers of the machine's C library are needed, and macros
// for constants in network order.
const prologue = `
typedef unsigned char __u8; typedef unsigned short __u16; typedef unsigned int __u32; typedef unsigned long long __u64;
typedef signed char __s8; typedef short __s16; typedef int __s32; typedef long long __s64;
typedef __u16 __be16; typedef __u32 __be32; typedef __u64 __be64;
struct in6_addr { union { __u8 u6_addr8[16]; __be16 u6_addr16[8]; __be32 u6_addr32[4]; } in6_u; };
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define BE16(n) (n)
#define BE32(n) (n)
#define BE64(n) (n)
#else
#define BE16(n) __builtin_bswap16(n)
#define BE32(n) __builtin_bswap32(n)
#define BE64(n) __builtin_bswap64(n)
#endif
`

// compiled is what clang makes of the declarations for BPF programs of this machine's byte order, one text for each:
// size, alignment, offsets and bytes. They are read from constants in the object, which no machine has to run.
func compiled(t *testing.T, all []generated) []string {
	t.Helper()
	var c strings.Builder
	c.WriteString(prologue)
	for i := range all {
		s := &all[i]
		fmt.Fprintf(&c, "%s;\nconst __u64 n%d[] __attribute__((section(\"abi\"))) = {sizeof(s%d), _Alignof(s%d)", s.declaration, i, i, i)
		for _, path := range s.paths {
			fmt.Fprintf(&c, ", __builtin_offsetof(s%d, %s)", i, path)
		}
		fmt.Fprintf(&c, "};\nconst s%d v%d __attribute__((section(\"abi\"))) = {\n%s};\n", i, i, s.initializers)
	}
	source, object := filepath.Join(t.TempDir(), "abi.c"), filepath.Join(t.TempDir(), "abi.o")
	if err := os.WriteFile(source, []byte(c.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	// What clang can't do well it warns of: a value that doesn't fit, an attribute that it ignores.
	if out, err := exec.Command("clang", "-target", clang.Target(), "-c", "-Wall", "-Werror", "-Wno-bitfield-constant-conversion", "-Wno-missing-braces", "-o", object, source).CombinedOutput(); err != nil {
		t.Fatalf("compile: %v\n%s", err, out)
	}
	constants := constantsOf(t, object)
	texts := make([]string, len(all))
	for i := range all {
		for numbers := range slices.Chunk(constants[fmt.Sprintf("n%d", i)], 8) {
			texts[i] += fmt.Sprintf("%d ", binary.NativeEndian.Uint64(numbers))
		}
		texts[i] += hex.EncodeToString(constants[fmt.Sprintf("v%d", i)])
	}
	return texts
}

// constantsOf are the bytes of an object's variables, which are all in its section "abi".
func constantsOf(t *testing.T, object string) map[string][]byte {
	t.Helper()
	f, err := elf.Open(object)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	data, err := f.Section("abi").Data()
	if err != nil {
		t.Fatal(err)
	}
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	constants := map[string][]byte{}
	for _, s := range symbols {
		if elf.ST_TYPE(s.Info) == elf.STT_OBJECT {
			constants[s.Name] = data[s.Value : s.Value+s.Size]
		}
	}
	return constants
}
