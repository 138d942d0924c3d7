// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/mounts"
)

// createWithBTF pins a Hash of struct { __u8 action; __be32 rule; } by __u16.
func createWithBTF(t *testing.T) (pin string) {
	t.Helper()
	u8 := &btf.Int{Name: "__u8", Size: 1}
	be32 := &btf.Typedef{Name: "__be32", Type: &btf.Int{Name: "unsigned int", Size: 4}}
	builder, err := btf.NewBuilder([]btf.Type{
		&btf.Int{Name: "__u16", Size: 2},
		&btf.Struct{Name: "rule", Size: 8, Members: []btf.Member{
			{Name: "action", Type: u8}, {Name: "rule", Type: be32, Offset: 32},
		}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := builder.Marshal(nil, btf.KernelMarshalOptions())
	if err != nil {
		t.Fatal(err)
	}
	types, err := bpf.LoadBTF(raw)
	if err != nil {
		t.Fatal(err)
	}
	m, err := bpf.Create(bpf.CreateOpts{
		Type: bpf.Hash, KeySize: 2, ValueSize: 8, MaxEntries: 4, BTF: types, BTFKeyTypeID: 1, BTFValueTypeID: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	pin = filepath.Join(mountBPFFS(t), "typed")
	if err := errors.Join(m.Pin(pin), m.Close(), types.Close()); err != nil {
		t.Fatal(err)
	}
	return pin
}

func TestDumpTypedByBTF(t *testing.T) {
	pin := createWithBTF(t)
	ok(t, "map", "update", "--pin", pin, "--key", "258", "--value", "{action: 1, rule: 7}")
	equal(t, ok(t, "map", "lookup", "--pin", pin, "--key", "0x102", "-o", "hex"), "01 00 00 00 00 00 00 07\n")
	equal(t, ok(t, "dump", "--pin", pin), "258 = {action: 1, rule: 7}\nFound 1 element\n")
	equal(t, ok(t, "map", "next-key", "--pin", pin), "258\n")
}

// TestDumpWithoutRightToReadBTF shows bytes: opening BTF by its id needs CAP_SYS_ADMIN.
func TestDumpWithoutRightToReadBTF(t *testing.T) {
	pin := createWithBTF(t)
	ok(t, "map", "update", "--pin", pin, "--key", "258", "--value", "{action: 1, rule: 7}")
	r := withoutCapabilities(t, func() result { return run(t, "dump", "--pin", pin) })
	want := result{out: "02 01 = 01 00 00 00 00 00 00 07\nFound 1 element\n"}
	if !opensFreely(t) {
		want = result{code: 1, errOut: "Error: open pin of " + pin + ": not permitted (missing CAP_BPF, which every command takes before Linux 5.19): operation not permitted\n"}
	}
	equal(t, r.String(), want.String())
}

func TestDumpSeveral(t *testing.T) {
	bpffs := mountBPFFS(t)
	folder := t.TempDir()
	pins := filepath.Join(bpffs, "bpfmap")
	mkdir(t, filepath.Join(pins, "default"))
	for _, name := range []string{"a", "b"} {
		writeFile(t, filepath.Join(folder, name+".yaml"), minimalManifest(name, 2))
		ok(t, "map", "create", "--pin", filepath.Join(pins, "default", name), "--type", "Hash",
			"--key-size", "4", "--value-size", "1", "--max-entries", "2")
	}
	ok(t, "map", "update", "--pin", filepath.Join(pins, "default", "b"), "--key", "u32:1", "--value", "u8:2")
	equal(t, ok(t, "dump", "--bpffs", bpffs, "-f", folder), "# default/a ("+pins+"/default/a)\nFound 0 elements\n\n"+
		"# default/b ("+pins+"/default/b)\n1 = 2\nFound 1 element\n")
	equal(t, ok(t, "dump", "--bpffs", bpffs, "-f", folder, "-o", "yaml"), "---\n# default/a ("+pins+"/default/a)\nentries: []\n"+
		"---\n# default/b ("+pins+"/default/b)\nentries:\n- {\"key\": 1, \"value\": 2}\n")

	ok(t, "map", "unpin", filepath.Join(pins, "default", "a"))
	r := run(t, "dump", "--bpffs", bpffs, "-f", folder)
	equal(t, r.String(), result{
		code:   1,
		out:    "# default/a (" + pins + "/default/a)\n\n# default/b (" + pins + "/default/b)\n1 = 2\nFound 1 element\n",
		errOut: "Error: open pin of " + pins + "/default/a: does not exist\n",
	}.String())
	equal(t, fails(t, "dump", "--pin", filepath.Join(pins, "default", "b"), "-f", folder),
		"Error: -f has 2 BPFMaps: with --pin or --id it must contain exactly one\n")
}

// TestDumpByName finds the map of a BPFMap by its name, also where the node's files are elsewhere, as in the
// agent's pod.
func TestDumpByName(t *testing.T) {
	bpffs := mountBPFFS(t)
	manifest := write(t, "blocklist.yaml", blocklist)
	ok(t, "apply", "--bpffs", bpffs, "-f", manifest)
	for _, root := range []string{"", filepath.Dir(bpffs)} {
		t.Setenv(mounts.RootEnv, root)
		node := mounts.Root(root).Node(bpffs)
		if out := ok(t, "dump", "--bpffs", node, "--sort", "edge/blocklist"); !strings.Contains(out, "203.0.113.0/24") {
			t.Errorf("with the root %q: %s", root, out)
		}
		if out := ok(t, "list", "--managed", "-o", "wide", "--bpffs", node); !strings.Contains(out, node+"/bpfmap/edge/blocklist") {
			t.Errorf("with the root %q, list shows %s", root, out)
		}
		if out := ok(t, "diff", "--bpffs", node, "-f", manifest); !strings.Contains(out, "in sync") {
			t.Errorf("with the root %q, diff shows %s", root, out)
		}
	}
}
