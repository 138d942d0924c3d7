// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package programfile

import (
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/test/memory"
)

// child is set in a process that a test runs this test binary as, to change its own code.
const child = "PROGRAMFILE_CHILD"

// TestRelease maps every page of this program's code and constants, and gives them back.
func TestRelease(t *testing.T) {
	whole := touch(t)
	before := resident(t)
	if before < whole {
		t.Fatalf("%d KiB of the program's file are resident before, want all %d", before, whole)
	}
	if err := Release(); err != nil {
		t.Fatal(err)
	}
	// What ran since is mapped again, with the pages around it.
	if after := resident(t); after > before*3/4 {
		t.Errorf("%d KiB of the program's file are resident, of %d before", after, before)
	}
	touch(t) // nothing is lost
}

// TestReleaseKeepsWhatWasWritten changes a page of code, as who sets a breakpoint does.
func TestReleaseKeepsWhatWasWritten(t *testing.T) {
	if os.Getenv(child) == "" {
		c := exec.Command("/proc/self/exe", "-test.run=^TestReleaseKeepsWhatWasWritten$", "-test.v")
		c.Env = append(os.Environ(), child+"=1")
		if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS") {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	memory, err := os.OpenFile("/proc/self/mem", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	code, page := int64(own(t)[0].start), make([]byte, 16)
	if _, err := memory.ReadAt(page, code); err != nil {
		t.Fatal(err)
	}
	if _, err := memory.WriteAt(page, code); err != nil {
		t.Fatal(err)
	}
	if !own(t)[0].written {
		t.Fatal("the page that was written isn't seen")
	}
	if err := Release(); err != nil {
		t.Fatal(err)
	}
	if !own(t)[0].written {
		t.Error("the page that was written is gone")
	}
}

func TestReadOnly(t *testing.T) {
	const smaps = `00400000-01ebc000 r-xp 00000000 fe:00 91 /usr/bin/a program
Size:              27376 kB
Anonymous:             4 kB
VmFlags: rd ex mr mw me
01ebc000-03b6e000 r--p 01abc000 fe:00 91 /usr/bin/a program
Anonymous:             0 kB
03b6e000-03c6a000 rw-p 0376e000 fe:00 91 /usr/bin/a program
Anonymous:           188 kB
7f0000000000-7f0000001000 r--p 00000000 fe:00 92 /usr/lib/program
Anonymous:             8 kB
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]
`
	want := []mapping{{0x400000, 0x1ebc000, true}, {0x1ebc000, 0x3b6e000, false}}
	if got, err := readOnly(strings.NewReader(smaps), "/usr/bin/a program"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if _, err := readOnly(strings.NewReader("x-y r-xp 0 0 1 /a\n"), "/a"); err == nil {
		t.Error("addresses that aren't numbers were taken")
	}
}

// own is where this program's file is mapped.
func own(t *testing.T) []mapping {
	t.Helper()
	text, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	name, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	found, err := readOnly(strings.NewReader(string(text)), name)
	if err != nil || len(found) == 0 {
		t.Fatalf("no mapping of %s was found: %v", name, err)
	}
	return found
}

// touch reads all of them, and says how much that is, in KiB.
func touch(t *testing.T) int {
	t.Helper()
	memory, err := os.Open("/proc/self/mem")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = memory.Close() }()
	whole := 0
	for _, m := range own(t) {
		size := int(m.end - m.start)
		if _, err := memory.ReadAt(make([]byte, size), int64(m.start)); err != nil {
			t.Fatal(err)
		}
		whole += size / 1024
	}
	return whole
}

// resident is RssFile of this process, in KiB.
func resident(t *testing.T) int {
	t.Helper()
	bytes, err := memory.Of(os.Getpid(), "RssFile")
	if err != nil {
		t.Fatal(err)
	}
	return int(bytes >> 10)
}
