// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile_test

import (
	"bytes"
	"errors"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// FuzzCompile compiles any spec with any source. What is accepted can be stored and read again, and is
// within the bounds; what isn't has a reason.
func FuzzCompile(f *testing.F) {
	for _, seed := range [][2]string{
		{"type: Hash\nkey: {type: u32}\nvalue: {type: u32}\nmaxEntries: 10\nentries: [{key: 1, value: 2}, {key: 0x1, value: 3}]", ""},
		{"type: LPMTrie\nkey: {type: ipv4Prefix}\nvalue: {type: u8}\nmaxEntries: 10\n" + from("Lines", ", value: 1"), "10.0.0.0/8\n"},
		{"type: LPMTrie\nkey: {fields: [{name: a, type: ifindex}, {name: b, type: be16, prefix: true}]}\nvalue: {type: u8, default: 1}\nmaxEntries: 30\n" + from("CSV", ""), "key.a,key.b\neth0,1-65534\n0,53\n"},
		{"type: PerCPUHash\nkey: {type: u32}\nvalue: {type: u32}\nmaxEntries: 10\n" + from("JSON", ""), `[{"key":1,"values":[1,2]}]`},
		{"type: Queue\nvalue: {type: string, size: 8}\nmaxEntries: 10\nconflictPolicy: First\n" + from("CSV", ""), "value\na\nb\n"},
		{"type: Hash\nkey: {fields: [{name: a, type: ifindex}, {name: b, type: bool}]}\nvalue: {type: u16, length: 2}\nmaxEntries: 3\nconflictPolicy: Last\n" + from("YAML", ""), "- {key: {a: eth0, b: true}, value: [1, 2]}\n"},
		{"type: Hash\nkey: {type: u32}\nmaxEntries: 4\nvalue: {fields: [{name: a, length: 65536, fields: [{name: b, type: ifindex, length: 4096}]}]}", ""},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, spec, text string) {
		m := &v1alpha1.BPFMap{}
		m.Namespace, m.Name = "edge", "m"
		if yaml.UnmarshalStrict([]byte(spec), &m.Spec) != nil {
			return
		}
		var sources []compile.Source
		for i := range m.Spec.EntriesFrom {
			sources = append(sources, compile.Source{Index: i, Name: "feed", Version: "1", Load: func() ([]byte, error) { return []byte(text), nil }})
		}
		cache := compile.NewCache()
		rev, err := compile.With(m, sources, cache)
		if err != nil {
			var e *compile.Error
			if !errors.As(err, &e) || e.Reason == "" || len(e.Problems) == 0 || e.Total < len(e.Problems) {
				t.Errorf("%#v", err)
			}
			return
		}
		again, err := compile.With(m, sources, cache)
		if err != nil || again.Digest != rev.Digest {
			t.Errorf("with what was kept: %v", err)
		}
		if rev.Contents.PackedSize() > v1alpha1.MaxEntriesBytes+v1alpha1.MaxChunks*64 || !rev.Shape.IsKeyless() && uint32(rev.Contents.Len) > rev.Shape.MaxEntries {
			t.Errorf("%d entries of %d bytes", rev.Contents.Len, rev.Contents.PackedSize())
		}
		rev.Name, rev.Number = "m-1", 1
		back, err := fromObject(rev)
		if err != nil || back.Digest != rev.Digest || !bytes.Equal(packed(back), packed(rev)) {
			t.Errorf("what was read isn't what was written: %v", err)
		}
	})
}

func packed(rev *revision.Revision) []byte {
	flat := rev.Contents.Flat(rev.Shape)
	return flat.Pack()
}
