// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package sys

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"
)

// layouts pairs our structs with the kernel's: the members of union bpf_attr that a struct of it holds,
// in the order of our fields.
var layouts = []struct {
	ours    any
	kernel  string // the name of a struct, or empty for one of union bpf_attr
	members []string
}{
	{MapCreateAttr{}, "", []string{
		"map_type", "key_size", "value_size", "max_entries", "map_flags", "inner_map_fd", "numa_node", "map_name",
		"map_ifindex", "btf_fd", "btf_key_type_id", "btf_value_type_id", "btf_vmlinux_value_type_id", "map_extra",
		"value_type_btf_obj_fd", "map_token_fd", "excl_prog_hash", "excl_prog_hash_size",
	}},
	{MapElemAttr{}, "", []string{"map_fd", "key", "value", "flags"}},
	{MapElemAttr{}, "", []string{"map_fd", "key", "next_key", "flags"}},
	{MapBatchAttr{}, "batch", []string{"in_batch", "out_batch", "keys", "values", "count", "map_fd", "elem_flags", "flags"}},
	{ObjAttr{}, "", []string{"pathname", "bpf_fd", "file_flags", "path_fd"}},
	{IDAttr{}, "", []string{"map_id", "next_id", "open_flags", "fd_by_id_token_fd"}},
	{InfoAttr{}, "info", []string{"bpf_fd", "info_len", "info"}},
	{BTFLoadAttr{}, "", []string{
		"btf", "btf_log_buf", "btf_size", "btf_log_size", "btf_log_level", "btf_log_true_size", "btf_flags", "btf_token_fd",
	}},
	{ProgLoadAttr{}, "", []string{
		"prog_type", "insn_cnt", "insns", "license", "log_level", "log_size", "log_buf", "kern_version", "prog_flags", "prog_name",
	}},
	{TracingLoadAttr{}, "", []string{
		"prog_type", "insn_cnt", "insns", "license", "log_level", "log_size", "log_buf", "kern_version", "prog_flags", "prog_name",
		"prog_ifindex", "expected_attach_type", "prog_btf_fd", "func_info_rec_size", "func_info", "func_info_cnt",
		"line_info_rec_size", "line_info", "line_info_cnt", "attach_btf_id",
	}},
	{LinkCreateAttr{}, "link_create", []string{"prog_fd", "target_fd", "attach_type", "flags"}},
	{IterCreateAttr{}, "iter_create", []string{"link_fd", "flags"}},
	{ProgTestRunAttr{}, "test", []string{
		"prog_fd", "retval", "data_size_in", "data_size_out", "data_in", "data_out", "repeat", "duration",
	}},
	{MapInfo{}, "struct bpf_map_info", []string{
		"type", "id", "key_size", "value_size", "max_entries", "map_flags", "name", "ifindex", "btf_vmlinux_value_type_id",
		"netns_dev", "netns_ino", "btf_id", "btf_key_type_id", "btf_value_type_id", "btf_vmlinux_id", "map_extra", "hash", "hash_size",
	}},
	{ProgInfo{}, "struct bpf_prog_info", []string{
		"type", "id", "tag", "jited_prog_len", "xlated_prog_len", "jited_prog_insns", "xlated_prog_insns", "load_time",
		"created_by_uid", "nr_map_ids", "map_ids", "name",
	}},
}

// TestLayouts compares the offset and size of every field with the running kernel's BTF.
func TestLayouts(t *testing.T) {
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		t.Fatal(err)
	}
	var attr *btf.Union
	if err := spec.TypeByName("bpf_attr", &attr); err != nil {
		t.Fatal(err)
	}
	for _, l := range layouts {
		ours := reflect.TypeOf(l.ours)
		t.Run(ours.Name()+" "+l.kernel, func(t *testing.T) {
			has := onThisKernel(t, l.members)
			candidates := attr.Members
			if name, isStruct := strings.CutPrefix(l.kernel, "struct "); isStruct {
				var info *btf.Struct
				if err := spec.TypeByName(name, &info); err != nil {
					t.Fatal(err)
				}
				candidates = []btf.Member{{Name: l.kernel, Type: info}}
			}
			for _, c := range candidates {
				if c.Name != l.kernel {
					continue
				}
				if offsets := flatten(c.Type, 0); hasAll(offsets, has) {
					compare(t, ours, l.members, has, offsets)
					return
				}
			}
			t.Fatalf("the kernel has no struct %q with the members %v", l.kernel, has)
		})
	}
}

// since is when members came that a kernel may not have.
var since = map[string][2]int{
	"map_extra": {5, 16}, "btf_log_true_size": {6, 4}, "path_fd": {6, 5}, "btf_vmlinux_id": {6, 9},
	"value_type_btf_obj_fd": {6, 9}, "map_token_fd": {6, 9}, "fd_by_id_token_fd": {6, 15}, "btf_flags": {6, 9}, "btf_token_fd": {6, 9},
	"excl_prog_hash": {6, 18}, "excl_prog_hash_size": {6, 18}, "hash": {6, 18}, "hash_size": {6, 18},
}

// onThisKernel are the members that the running kernel has, by its release.
func onThisKernel(t *testing.T, members []string) []string {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	var major, minor int
	_, scanErr := fmt.Sscanf(string(text), "%d.%d", &major, &minor)
	if err := errors.Join(err, scanErr); err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(slices.Clone(members), func(m string) bool {
		s := since[m]
		return major < s[0] || major == s[0] && minor < s[1]
	})
}

type place struct{ offset, size int }

// flatten lists a struct's members with those of anonymous structs and unions in it.
func flatten(typ btf.Type, base int) map[string]place {
	var members []btf.Member
	switch s := btf.UnderlyingType(typ).(type) {
	case *btf.Struct:
		members = s.Members
	case *btf.Union:
		members = s.Members
	}
	all := map[string]place{}
	for _, m := range members {
		offset := base + int(m.Offset.Bytes())
		if m.Name == "" {
			for name, p := range flatten(m.Type, offset) {
				all[name] = p
			}
			continue
		}
		size, err := btf.Sizeof(m.Type)
		if err != nil {
			size = -1
		}
		all[m.Name] = place{offset, size}
	}
	return all
}

func hasAll(offsets map[string]place, members []string) bool {
	for _, m := range members {
		if _, ok := offsets[m]; !ok {
			return false
		}
	}
	return true
}

// compare holds our fields against the kernel's members, of which it has some.
func compare(t *testing.T, ours reflect.Type, members, has []string, kernel map[string]place) {
	t.Helper()
	fields := fieldsOf(ours)
	if len(fields) != len(members) {
		t.Fatalf("%d fields, %d members", len(fields), len(members))
	}
	for i, f := range fields {
		if !slices.Contains(has, members[i]) {
			if place, ok := kernel[members[i]]; ok {
				t.Errorf("this kernel has %s, at %d", members[i], place.offset)
			}
			continue
		}
		if want, got := kernel[members[i]], (place{int(f.Offset), int(f.Type.Size())}); got != want {
			t.Errorf("%s is at %d (%d bytes), the kernel's %s at %d (%d bytes)", f.Name, got.offset, got.size, members[i], want.offset, want.size)
		}
	}
}

// fieldsOf are the fields of a struct of ours that have names.
func fieldsOf(ours reflect.Type) []reflect.StructField {
	var fields []reflect.StructField
	for _, f := range reflect.VisibleFields(ours) { // an embedded struct is the first field
		if f.Name != "_" && !f.Anonymous {
			fields = append(fields, f)
		}
	}
	return fields
}
