// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
)

const filter = `apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {namespace: edge, name: filter}
spec:
  type: Hash
  key: {type: u8}
  value: {type: u8}
  maxEntries: 8
  pin: {path: xdp-filter/filter}
  entries: [{key: 1, value: 10}]
`

// TestAdoptAndGiveBack: outside of the namespace's directory the manifest has to say that a map of somebody else is
// taken over, diff shows what that changes, and delete leaves it as it was.
func TestAdoptAndGiveBack(t *testing.T) {
	bpffs := mountBPFFS(t)
	pin := filepath.Join(bpffs, "xdp-filter/filter")
	if err := os.Mkdir(filepath.Dir(pin), 0o755); err != nil {
		t.Fatal(err)
	}
	m, err := bpf.Create(bpf.CreateOpts{Type: bpf.Hash, Name: "filter", KeySize: 1, ValueSize: 1, MaxEntries: 8})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for _, err := range []error{m.UpdateElem([]byte{9}, []byte{90}, bpf.Any), m.Pin(pin), os.Chmod(pin, 0o640)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	apply := func(more string, args ...string) result {
		file := write(t, "filter.yaml", filter+more)
		return run(t, append(args, "-f", file, "--bpffs", bpffs)...)
	}
	const refusal = "map ID at pin xdp-filter/filter was made by somebody else, and adoptionPolicy is Never where it is not set and the pin is outside bpfmap/edge: set spec.adoptionPolicy: Adopt to take it over with its contents, or another spec.pin.path, or remove the pin\n"
	equal(t, withoutIDs(apply("", "apply").errOut), "Error: bpfmap.bpfmap.io/edge/filter: AdoptionNotAllowed: "+refusal)
	equal(t, withoutIDs(apply("", "diff").out), "edge/filter: stalled (AdoptionNotAllowed): "+refusal+`  layout not verified: the map has no BTF
  adopting it would change: 1 entry missing
  map ID keeps 1 element of others
  + 1 = 10
`)
	const mirror = "  syncPolicy: Mirror\n  adoptionPolicy: Adopt\n"
	if r := apply(mirror, "apply"); r.code != 1 || !strings.Contains(r.errOut, "holds 1 undeclared element, which syncPolicy: Mirror would delete: set adoptionPolicy: AdoptAndDiscard") {
		t.Errorf("%s", r)
	}
	equal(t, withoutIDs(apply("  adoptionPolicy: Adopt\n", "apply").String()), `exit code 0
--- stdout
bpfmap.bpfmap.io/edge/filter adopted: layout not verified: the map has no BTF (map ID, 2 entries)
--- stderr
`)
	equal(t, withoutIDs(apply("", "delete").String()), `exit code 0
--- stdout
bpfmap.bpfmap.io/edge/filter given back (pin kept): 1 declared entry taken out (map ID)
--- stderr
`)
	equal(t, ok(t, "dump", "--pin", pin, "--bpffs", bpffs, "-o", "text"), "09 = 5a\nFound 1 element\n")
	if st, err := os.Stat(pin); err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("the pin: %v, %v", st, err)
	}
}
