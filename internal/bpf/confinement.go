// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
)

// Confinement is the mandatory access control that a process is under. It refuses with EACCES, or EPERM where it takes a
// capability away that the process has by credentials(7).
type Confinement struct {
	// Module is SELinux or AppArmor; empty if nothing confines the process, or if it can't be told.
	Module string
	// As is the process' context or profile, such as system_u:system_r:container_t:s0.
	As string
}

// The modules of a Confinement.
const (
	SELinux  = "SELinux"
	AppArmor = "AppArmor"
)

// Confined is what confines the calling process. root is where it finds the node's files, of which selinuxfs tells whether
// SELinux is enforced; if that can't be read, it is taken to be.
func Confined(root string) Confinement {
	text, err := os.ReadFile("/proc/self/attr/current")
	if err != nil {
		return Confinement{} // no security module labels processes
	}
	enforce, err := os.ReadFile(filepath.Join("/", root, "sys/fs/selinux/enforce"))
	return confinedAs(string(text), err == nil && strings.TrimSpace(string(enforce)) == "0")
}

// confinedAs reads what a module says of a process: SELinux user:role:type with a level, AppArmor a profile and its mode.
func confinedAs(text string, permissive bool) Confinement {
	text = strings.TrimRight(text, "\x00\n ")
	switch profile, enforced := strings.CutSuffix(text, " (enforce)"); {
	case enforced:
		return Confinement{Module: AppArmor, As: profile}
	case !permissive && strings.Count(text, ":") >= 2 && !strings.Contains(text, " "):
		return Confinement{Module: SELinux, As: text}
	}
	return Confinement{}
}

// Type is the type of an SELinux context; empty for others.
func (c Confinement) Type() string {
	if c.Module != SELinux {
		return ""
	}
	return strings.Split(c.As, ":")[2]
}

// String is "SELinux, which confines this process as system_u:system_r:container_t:s0", or "a security module" if it isn't known.
func (c Confinement) String() string {
	if c.Module == "" {
		return "a security module"
	}
	return c.Module + ", which confines this process as " + c.As
}

// orConfined is an end for a list of what may refuse something; empty if nothing is known to confine the process.
func orConfined() string {
	if c := Confined(""); c.Module != "" {
		return ", or by " + c.String()
	}
	return ""
}

// MayCreate says whether the calling thread has the capability that making a map takes: what is refused then is refused by
// something else.
func MayCreate() bool {
	has, err := sys.HasCapability(sys.CapBPF)
	return err == nil && has
}
