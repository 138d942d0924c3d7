// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package selinux_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/test/await"
	"github.com/bpfmap-io/bpfmap-operator/test/confinement"
	"github.com/bpfmap-io/bpfmap-operator/test/program"
)

// bpfmapPath is the path of the bpfmap binary.
var bpfmapPath string

func TestMain(m *testing.M) {
	if os.Getenv(inside) != "" {
		os.Exit(m.Run()) // in a container, which has no compiler
	}
	code := program.Main(m, &bpfmapPath)
	confinement.Stop(code != 0)
	os.Exit(code)
}

// needSELinux skips the test where SELinux isn't enforced, unless $CONFINEMENT says that it must be.
func needSELinux(t *testing.T) {
	t.Helper()
	switch {
	case confinement.SELinux() && os.Getenv("CONFINEMENT") != "":
	case os.Getenv("CONFINEMENT") != "":
		t.Fatal("this kernel doesn't enforce SELinux")
	default:
		t.Skip("needs SELinux and changes the machine's BPF file system; make test-kernels PACKAGE=test/confinement/selinux runs it in a virtual machine")
	}
}

// privileged is the value of the chart that the documentation names for nodes with SELinux.
const privileged = "agent.podSecurityContext.seLinuxOptions.type=spc_t"

// TestSuperPrivileged manages maps as spc_t, each time with other categories, as containers have them: nothing of it is denied.
func TestSuperPrivileged(t *testing.T) {
	needSELinux(t)
	confinement.Manage(t, confinement.New(t, bpfmapPath, privileged))
	if found := denials(t, "spc_t"); len(found) > 0 {
		t.Errorf("the kernel denied\n%s", strings.Join(found, "\n"))
	}
}

// TestContainer shows that the policy is in force, and that the refusal is told with the way out of it.
func TestContainer(t *testing.T) {
	needSELinux(t)
	c := confinement.New(t, bpfmapPath)
	c.Write(t, confinement.Manifest)
	out, err := c.Run(t, "apply", "-f", "/map.yaml")
	if err == nil {
		t.Errorf("apply as container_t wasn't denied:\n%s", out)
	}
	for _, want := range []string{"SELinux confines this process as system_u:system_r:container_t:s0:c", "agent.podSecurityContext.seLinuxOptions.type", "spc_t"} {
		if !strings.Contains(out, want) {
			t.Errorf("apply as container_t says\n%s\nwant %q", out, want)
		}
	}
	if _, err := os.Stat(confinement.Pin); !os.IsNotExist(err) {
		t.Errorf("something was pinned: %v", err)
	}
	found := strings.Join(denials(t, "container_t"), "\n")
	for _, want := range []string{"denied  { bpf } ", "denied  { write } for  pid", "tcontext=system_u:object_r:bpf_t:s0 tclass=dir"} {
		if !strings.Contains(found, want) {
			t.Errorf("the kernel denied\n%s\nwant %q", found, want)
		}
	}
}

// TestMapsOfOthers: the kernel asks whether a process may use the maps of the domain that made one, and spc_t may use those
// of all.
func TestMapsOfOthers(t *testing.T) {
	needSELinux(t)
	c := confinement.New(t, bpfmapPath, privileged)
	c.Write(t, strings.Replace(confinement.Manifest, "spec:", "spec:\n  adoptionPolicy: Adopt", 1))
	if err := os.MkdirAll(filepath.Dir(confinement.Pin), 0o700); err != nil {
		t.Fatal(err)
	}
	made, err := exec.Command(bpfmapPath, "map", "create", "--type", "Hash", "--key-size", "4", "--value-size", "8", "--max-entries", "16", "--name", "blocklist", "--pin", confinement.Pin).CombinedOutput()
	if err != nil {
		t.Fatalf("make a map in the node's domain: %v\n%s", err, made)
	}
	t.Cleanup(func() { _ = os.Remove(confinement.Pin) })
	for _, want := range []string{"adopted", "unchanged"} {
		if out, err := c.Run(t, "apply", "-f", "/map.yaml"); err != nil || !strings.Contains(out, want) {
			t.Fatalf("apply to the node's map: %v\n%s\nwant %q", err, out, want)
		}
	}
}

// TestApplications: a map that the agent made may be used by other containers of its type, and not as container_t.
func TestApplications(t *testing.T) {
	needSELinux(t)
	c := confinement.New(t, bpfmapPath, privileged)
	c.Write(t, strings.Replace(confinement.Manifest, "name: blocklist", "name: agents", 1))
	pin := filepath.Join(filepath.Dir(confinement.Pin), "agents")
	t.Cleanup(func() { _ = os.Remove(pin) })
	if out, err := c.Run(t, "apply", "-f", "/map.yaml"); err != nil || !strings.Contains(out, "created") {
		t.Fatalf("make a map: %v\n%s", err, out)
	}
	lookup := []string{"map", "lookup", "--pin", pin, "--key", "u32:1"}
	if out, err := c.Run(t, lookup...); err != nil {
		t.Errorf("another spc_t: %v\n%s", err, out)
	}
	c.DaemonSet.Spec.Template.Spec.SecurityContext.SELinuxOptions = nil
	if out, err := c.Run(t, lookup...); err == nil || !strings.Contains(out, "by SELinux, which confines this process as system_u:system_r:container_t:") {
		t.Errorf("container_t: %v\n%s\nwant it denied by SELinux", err, out)
	}
}

// denials are the lines of the kernel's log that tell of what a domain was denied until now.
func denials(t *testing.T, domain string) (found []string) {
	t.Helper()
	// The kernel writes them later and in turn, so one of our own tells that it has written those before: container_t may
	// not execute the node's files. Its categories are others each time.
	marks++
	mark := fmt.Sprintf("system_u:system_r:container_t:s0:c%d,c1023", marks)
	if out, err := exec.Command("runcon", mark, "true").CombinedOutput(); err == nil {
		t.Fatalf("container_t may execute the node's files: %s", out)
	}
	var log string
	await.Nil(t, time.Minute, func() error {
		if log = kernelLog(t); !strings.Contains(log, "scontext="+mark+" ") {
			return errors.New("a denial isn't in the kernel's log")
		}
		return nil
	})
	if strings.Contains(log, "audit_lost=") {
		t.Fatal("the kernel's log lacks some denials")
	}
	for line := range strings.Lines(log) {
		if strings.Contains(line, "avc:  denied") && strings.Contains(line, "scontext=system_u:system_r:"+domain+":") && !strings.Contains(line, ",c1023 ") {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

// marks counts the denials that denials makes.
var marks int

func kernelLog(t *testing.T) string {
	t.Helper()
	const readAll = 3 // SYSLOG_ACTION_READ_ALL of syslog(2)
	log := make([]byte, 4<<20)
	n, err := syscall.Klogctl(readAll, log)
	if err != nil {
		t.Fatal(err)
	}
	return string(log[:n])
}
