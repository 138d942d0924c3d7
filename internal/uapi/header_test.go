// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package uapi

import (
	"reflect"
	"strings"
	"testing"
)

const small = `/* a header */
#define BPF_OBJ_NAME_LEN 16U
#define MAPPER(FN) \
	FN(unspec, 0)
enum other { A = sizeof(int), };
enum bpf_cmd { BPF_MAP_CREATE, BPF_RUN, BPF_TEST = BPF_RUN, __MAX_BPF_CMD, BPF_COMMON = 1 << 16, /* enum { */ };
enum bpf_map_type {
	BPF_MAP_TYPE_UNSPEC,
	BPF_MAP_TYPE_OLD_DEPRECATED,
	BPF_MAP_TYPE_OLD = BPF_MAP_TYPE_OLD_DEPRECATED,
	__MAX_BPF_MAP_TYPE
};
enum { BPF_ANY = 0, BPF_NOEXIST = 1 };
enum { BPF_F_NO_PREALLOC = (1U << 0), BPF_F_RDONLY = (1U << 3) };
union bpf_attr {
	struct { // anonymous
		__u32 map_type;
		char map_name[BPF_OBJ_NAME_LEN];
		__aligned_u64 hash;
		__u32 hash_size;
	};
	struct {
		union { __u32 fd; __u64 id; };
		__u8 flag;
		struct { __u32 a; __u16 b[3]; } inner;
	} batch;
} __attribute__((aligned(8)));
struct bpf_map_info { __u32 type; __u32 :32; __s64 extra; };
`

// TestExtract reads what such a header can have, and writes and reads it again.
func TestExtract(t *testing.T) {
	h, err := Extract(small)
	if err != nil {
		t.Fatal(err)
	}
	h.Kernel, h.Origin = "7.2", "a test"
	const want = `kernel 7.2
origin a test
enum commands
	BPF_MAP_CREATE 0
	BPF_RUN 1
	BPF_COMMON 65536
enum map types
	BPF_MAP_TYPE_UNSPEC 0
	BPF_MAP_TYPE_OLD 1
enum map flags
	BPF_F_NO_PREALLOC 1
	BPF_F_RDONLY 8
enum element flags
	BPF_ANY 0
	BPF_NOEXIST 1
attribute
	map_type 0 4
	map_name 4 16
	hash 24 8
	hash_size 32 4
attribute batch
	fd 0 4
	id 0 8
	flag 8 1
	inner 12 12
struct bpf_map_info
	type 0 4
	extra 8 8
`
	if got := h.Text(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	again, err := Read(h.Text())
	if err != nil || !reflect.DeepEqual(again, h) {
		t.Errorf("read again: %+v, %v", again, err)
	}
}

// TestExtractRefuses passes over nothing that it doesn't understand.
func TestExtractRefuses(t *testing.T) {
	for change, want := range map[string]string{
		"enum bpf_cmd {|enum bpf_command {":                                             "enum bpf_cmd isn't there",
		"__s64 extra;|__s64 extra":                                                      `";" is expected`,
		"__s64 extra|struct other extra":                                                `"{" is expected`,
		"__s64 extra|double extra":                                                      `type "double" isn't understood`,
		"BPF_OBJ_NAME_LEN];|OTHER_LEN];":                                                `the length "OTHER_LEN" isn't understood`,
		"BPF_F_RDONLY = (1U << 3)|BPF_F_RDONLY = (1U << BITS)":                          `"BITS" isn't understood`,
		"__u32 :32|__u32 :3":                                                            "a bit field of 3 bits isn't understood",
		"__u32 hash_size;|__u32 hash_size, more;":                                       `";" is expected`,
		"} __attribute__((aligned(8)));\nstruct bpf_map_info|} x;\nstruct another_info": "struct bpf_map_info isn't there",
	} {
		from, to, _ := strings.Cut(change, "|")
		if !strings.Contains(small, from) {
			t.Fatalf("%q isn't in the header", from)
		}
		if _, err := Extract(strings.Replace(small, from, to, 1)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", change, err, want)
		}
	}
	for text, want := range map[string]string{
		"enum colours\n": `unknown enum "colours"`, "x": `unknown fact "x"`, "enum commands\n\tA x\n": `"x" is not a number`,
		"\tA 1\n": "1 numbers are out of place", "attribute\n\tA 1\n": "1 numbers are out of place",
	} {
		if _, err := Read(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// TestNewest says where its facts come from.
func TestNewest(t *testing.T) {
	h, err := Read(newest)
	if err != nil {
		t.Fatal(err)
	}
	if h.Kernel == "" || h.Origin == "" || len(h.MapTypes) < 36 || len(h.Attributes) < 20 {
		t.Errorf("Linux %q, %q: %d map types, %d attributes", h.Kernel, h.Origin, len(h.MapTypes), len(h.Attributes))
	}
	if h.Text() != newest {
		t.Error("newest.txt isn't what `make uapi` writes")
	}
}
