// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cgroup_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/cgroup"
	"github.com/bpfmap-io/bpfmap-operator/internal/quota"
)

// tree writes files below a root.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestLimits(t *testing.T) {
	const v1Unlimited = "9223372036854771712"
	for name, c := range map[string]struct {
		files map[string]string
		want  []quota.CgroupLimit
	}{
		"a pod with a cgroup namespace": {map[string]string{
			"proc/self/cgroup":                 "0::/",
			"sys/fs/cgroup/cgroup.controllers": "memory",
			"sys/fs/cgroup/memory.max":         "268435456",
			"sys/fs/cgroup/memory.current":     "100000000",
			"sys/fs/cgroup/memory.stat":        "anon 1\ninactive_file 30000000\nactive_file 5",
		}, []quota.CgroupLimit{{Limit: 268435456, Used: 70000000}}},
		"limits of groups above count, too": {map[string]string{
			"proc/self/cgroup":                  "0::/pod/c",
			"sys/fs/cgroup/cgroup.controllers":  "memory",
			"sys/fs/cgroup/pod/c/memory.max":    "max",
			"sys/fs/cgroup/pod/memory.max":      "1000",
			"sys/fs/cgroup/pod/memory.current":  "10",
			"sys/fs/cgroup/pod/memory.stat":     "inactive_file 11",
			"sys/fs/cgroup/pod/c/memory.events": "",
		}, []quota.CgroupLimit{{Limit: 1000, Used: 0}}},
		"a group of the host that isn't seen": {map[string]string{
			"proc/self/cgroup":                 "0::/kubepods/pod1/c1",
			"sys/fs/cgroup/cgroup.controllers": "memory",
			"sys/fs/cgroup/memory.max":         "77",
			"sys/fs/cgroup/memory.current":     "7",
			"sys/fs/cgroup/memory.stat":        "anon 7",
		}, []quota.CgroupLimit{{Limit: 77, Used: 7}}},
		"version 1": {map[string]string{
			"proc/self/cgroup":                               "5:cpu,cpuacct:/x\n4:memory:/pod\n0::/",
			"sys/fs/cgroup/memory/memory.usage_in_bytes":     "1",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":     v1Unlimited,
			"sys/fs/cgroup/memory/pod/memory.limit_in_bytes": "4096",
			"sys/fs/cgroup/memory/pod/memory.usage_in_bytes": "2048",
			"sys/fs/cgroup/memory/pod/memory.stat":           "inactive_file 1\ntotal_inactive_file 48",
		}, []quota.CgroupLimit{{Limit: 4096, Used: 2000}}},
		"no cgroups": {map[string]string{"proc/self/cgroup": ""}, nil},
	} {
		got, err := cgroup.Limits(tree(t, c.files))
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %+v (%v), want %+v", name, got, err, c.want)
		}
	}
	broken := tree(t, map[string]string{
		"proc/self/cgroup": "0::/", "sys/fs/cgroup/cgroup.controllers": "", "sys/fs/cgroup/memory.max": "a lot",
	})
	if limits, err := cgroup.Limits(broken); err == nil {
		t.Errorf("a limit that is not a number is read as %+v", limits)
	}
}

// childEnv makes the test a process that says what it sees once it may go on.
const childEnv = "BPFMAP_CGROUP_CHILD"

// TestOwnGroup reads the limit of a real group that a process is in.
func TestOwnGroup(t *testing.T) {
	if os.Getenv(childEnv) != "" {
		_, _ = fmt.Scanln()
		limits, err := cgroup.Limits("/")
		fmt.Printf("limits %+v %v\n", limits, err)
		return
	}
	const limit = 256 << 20
	dir, limitFile := newGroup(t)
	if err := os.WriteFile(filepath.Join(dir, limitFile), []byte(strconv.Itoa(limit)), 0o600); err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0], "-test.run=^TestOwnGroup$")
	child.Env = append(os.Environ(), childEnv+"=1")
	var out bytes.Buffer
	child.Stdout, child.Stderr = &out, &out
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	joined := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(child.Process.Pid)), 0o600)
	_, _ = fmt.Fprintln(in)
	if err := child.Wait(); err != nil || joined != nil {
		t.Fatalf("%v, %v: %s", joined, err, &out)
	}
	if !strings.Contains(out.String(), fmt.Sprintf("limits [{Limit:%d Used:", limit)) {
		t.Errorf("the process sees %s", &out)
	}
}

// newGroup makes a memory cgroup, of the version that has the controller here.
func newGroup(t *testing.T) (dir, limitFile string) {
	t.Helper()
	root, limitFile := "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
	if _, err := os.Stat(filepath.Join(root, limitFile)); err != nil {
		root, limitFile = "/sys/fs/cgroup", "memory.max"
	}
	dir, err := os.MkdirTemp(root, "bpfmap-cgroup-")
	if err != nil {
		t.Fatalf("make a memory cgroup (this test needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	return dir, limitFile
}
