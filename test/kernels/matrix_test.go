// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernels_test

import (
	"slices"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/test/kernels"
)

var two = []kernels.Named{
	{Name: "5.10", Matrix: kernels.Matrix{Release: "5.10.0-32-cloud-amd64", Types: []kernels.Row{
		{Type: "Hash", Made: "yes", Written: "batches", Counted: "walk", Compared: "batches", Shared: "ReadModifyWrite", Frozen: "yes", Replaced: "yes"},
		{Type: "Arena", Made: "NotSupported"},
	}}},
	{Name: "newest", Matrix: kernels.Matrix{Release: "7.2.13+deb14-cloud-amd64", Types: []kernels.Row{
		{Type: "Hash", Made: "yes", Written: "batches", Counted: "kernel", Compared: "batches", Shared: "Program", Frozen: "SyncFailed", Replaced: "yes"},
		{Type: "Arena", Made: "yes"},
		{Type: "Queue", Made: "yes", Written: "singly"},
	}}},
}

const table = `| type | 5.10 (5.10) | newest (7.2) |
|---|---|---|
| Hash | made, written: batches, counted: walk, compared: batches, shared: ReadModifyWrite, frozen, replaced | made, written: batches, counted: kernel, compared: batches, shared: Program, not frozen: SyncFailed, replaced |
| Arena | no: NotSupported | made |
| Queue | not tried | made, written: singly |
`

func TestRender(t *testing.T) {
	if got := kernels.Render(two); got != table {
		t.Errorf("the table is\n%s\nwant\n%s", got, table)
	}
	page := "# Kernels\n<!-- begin: table of kernels -->\nold\n<!-- end: table of kernels -->\nMore.\n"
	want := "# Kernels\n<!-- begin: table of kernels -->\n" + table + "<!-- end: table of kernels -->\nMore.\n"
	if got, err := kernels.Replace(page, table); err != nil || got != want {
		t.Errorf("the page is %q (%v), want %q", got, err, want)
	}
	if _, err := kernels.Replace("# Kernels\n", table); err == nil {
		t.Error("a page without the lines gets the table")
	}
}

func TestDifferences(t *testing.T) {
	want := []string{
		`Hash: counted: "kernel", was "walk"`, `Hash: shared: "Program", was "ReadModifyWrite"`,
		`Hash: frozen: "SyncFailed", was "yes"`, `Arena: made: "yes", was "NotSupported"`, "Queue: is new",
	}
	if got := kernels.Differences(two[0].Matrix, two[1].Matrix); !slices.Equal(got, want) {
		t.Errorf("differences %q, want %q", got, want)
	}
	if got := kernels.Differences(two[1].Matrix, two[0].Matrix); !slices.Contains(got, "Queue: wasn't tried") {
		t.Errorf("differences %q don't tell of the queue", got)
	}
}

func TestWriteAndRead(t *testing.T) {
	path := t.TempDir() + "/matrix.json"
	if err := two[0].Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := kernels.Read(path)
	if diff := kernels.Differences(two[0].Matrix, got); err != nil || got.Release != two[0].Release || len(diff) > 0 {
		t.Errorf("read %+v, %v: %v", got, err, diff)
	}
}
