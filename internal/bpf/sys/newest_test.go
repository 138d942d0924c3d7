// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package sys

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/uapi"
)

// commands are the commands of bpf(2) that this package has.
var commands = map[string]Cmd{
	"BPF_MAP_CREATE": MapCreate, "BPF_MAP_LOOKUP_ELEM": MapLookupElem, "BPF_MAP_UPDATE_ELEM": MapUpdateElem,
	"BPF_MAP_DELETE_ELEM": MapDeleteElem, "BPF_MAP_GET_NEXT_KEY": MapGetNextKey, "BPF_PROG_LOAD": ProgLoad,
	"BPF_OBJ_PIN": ObjPin, "BPF_OBJ_GET": ObjGet, "BPF_PROG_TEST_RUN": ProgTestRun, "BPF_MAP_GET_NEXT_ID": MapGetNextID,
	"BPF_MAP_GET_FD_BY_ID": MapGetFDByID, "BPF_OBJ_GET_INFO_BY_FD": ObjGetInfoByFD, "BPF_BTF_LOAD": BTFLoad,
	"BPF_MAP_LOOKUP_AND_DELETE_ELEM": MapLookupAndDeleteElem, "BPF_MAP_FREEZE": MapFreeze,
	"BPF_MAP_LOOKUP_BATCH": MapLookupBatch, "BPF_MAP_LOOKUP_AND_DELETE_BATCH": MapLookupAndDeleteBatch,
	"BPF_MAP_UPDATE_BATCH": MapUpdateBatch, "BPF_MAP_DELETE_BATCH": MapDeleteBatch, "BPF_LINK_CREATE": LinkCreate,
	"BPF_ITER_CREATE": IterCreate, "BPF_PROG_GET_NEXT_ID": ProgGetNextID, "BPF_PROG_GET_FD_BY_ID": ProgGetFDByID,
}

// otherCommands are those that maps need nothing of: for programs, links, BTF of others and statistics.
// BPF_COMMON_ATTRS is a bit of any command, with which the kernel takes a buffer for its log (Linux 7.1).
var otherCommands = []string{
	"BPF_PROG_ATTACH", "BPF_PROG_DETACH", "BPF_PROG_QUERY", "BPF_RAW_TRACEPOINT_OPEN", "BPF_TASK_FD_QUERY",
	"BPF_BTF_GET_FD_BY_ID", "BPF_BTF_GET_NEXT_ID", "BPF_LINK_UPDATE", "BPF_LINK_GET_FD_BY_ID", "BPF_LINK_GET_NEXT_ID", "BPF_ENABLE_STATS",
	"BPF_LINK_DETACH", "BPF_PROG_BIND_MAP", "BPF_TOKEN_CREATE", "BPF_PROG_STREAM_READ_BY_FD", "BPF_PROG_ASSOC_STRUCT_OPS",
	"BPF_COMMON_ATTRS",
}

// wholeStructs are the structs of which every member is to be in ours: those of the commands for maps. Each is
// named as uapi.Struct.ID does, and goes with the first of layouts that has it. unions are members that stand in
// the place of another one which we have.
var wholeStructs = map[string]struct{ unions []string }{
	"map_type…": {}, "map_fd…": {[]string{"next_key"}}, "batch": {}, "pathname…": {},
	"start_id…": {[]string{"start_id", "prog_id", "btf_id", "link_id"}}, "info": {}, "btf…": {}, "bpf_map_info": {},
}

// otherStructs are those of commands that we don't have, or for programs and links and only in part.
var otherStructs = []string{
	"prog_type…", "target_fd…", "test", "query", "raw_tracepoint", "task_fd_query", "link_create", "link_update", "link_detach",
	"enable_stats", "iter_create", "prog_bind_map", "token_create", "prog_stream_read", "prog_assoc_struct_ops",
}

// unlike compares the commands and attributes with a header.
func unlike(h *uapi.Header) []string {
	var all []string
	for _, c := range h.Commands {
		if n, ours := commands[c.Name]; ours && uint64(n) != c.Number || !ours && !slices.Contains(otherCommands, c.Name) {
			all = append(all, fmt.Sprintf("command %s, %d", c.Name, c.Number))
		}
	}
	for _, s := range append(slices.Clone(h.Attributes), h.MapInfo) {
		known, whole := wholeStructs[s.ID()]
		switch {
		case whole:
			all = append(all, unlikeStruct(&s, known.unions)...)
		case !slices.Contains(otherStructs, s.ID()):
			all = append(all, "attribute "+s.ID())
		}
	}
	return all
}

// unlikeStruct compares a struct with the one of ours that has its first member.
func unlikeStruct(s *uapi.Struct, unions []string) []string {
	for _, l := range layouts {
		if strings.TrimPrefix(l.kernel, "struct ") != s.Name || !s.Has(l.members...) {
			continue
		}
		var all []string
		typ := reflect.TypeOf(l.ours)
		fields := fieldsOf(typ)
		for _, m := range s.Members {
			i := slices.Index(l.members, m.Name)
			switch {
			case i < 0 && slices.Contains(unions, m.Name):
			case i < 0:
				all = append(all, fmt.Sprintf("%s has no %s (%d bytes at %d)", typ.Name(), m.Name, m.Size, m.Offset))
			case int(fields[i].Offset) != m.Offset || int(fields[i].Type.Size()) != m.Size:
				all = append(all, fmt.Sprintf("%s.%s is not %d bytes at %d", typ.Name(), fields[i].Name, m.Size, m.Offset))
			}
		}
		return all
	}
	return []string{"no struct of ours is like " + s.ID()}
}

// TestNewestHeader fails for a command of the newest kernel that isn't known here, and for an attribute of the
// commands for maps that our structs lack.
func TestNewestHeader(t *testing.T) {
	h, err := uapi.Newest()
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range unlike(h) {
		t.Errorf("the header of Linux %s (%s) and this package differ: %s", h.Kernel, h.Origin, u)
	}
	// A later header.
	h.Commands = append(h.Commands, uapi.Constant{Name: "BPF_MAP_MOVE", Number: 39})
	h.Attributes = append(h.Attributes, uapi.Struct{Name: "map_move"})
	h.Attributes[0].Members = append(h.Attributes[0].Members, uapi.Member{Name: "map_limit", Offset: 92, Size: 4})
	h.Attributes[2].Members[4].Offset += 8
	h.MapInfo.Members = append(h.MapInfo.Members, uapi.Member{Name: "nelems", Offset: 100, Size: 4})
	want := []string{
		"command BPF_MAP_MOVE, 39", "MapCreateAttr has no map_limit (4 bytes at 92)", "MapBatchAttr.Count is not 4 bytes at 40",
		"attribute map_move", "MapInfo has no nelems (4 bytes at 100)",
	}
	if got := unlike(h); !slices.Equal(got, want) {
		t.Errorf("a later header differs in\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
