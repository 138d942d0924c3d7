// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package confinement

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// engineLabel is what containerd runs as in Debian's policy, which lets it give containers their labels.
const engineLabel = "system_u:system_r:container_engine_t:s0"

// SELinux says whether the kernel has SELinux, and enforces its policy.
func SELinux() bool {
	enforce, err := os.ReadFile("/sys/fs/selinux/enforce")
	return err == nil && string(enforce) == "1"
}

// labelled returns a program that is runc, and gives the container and its files the labels for which containerd would ask:
// ctr(1) has no option for that. What the pod doesn't say is container_t; without a level, each container gets two
// categories of its own.
func (c *Container) labelled(t *testing.T) string {
	t.Helper()
	user, role, domain := "system_u", "system_r", "container_t"
	c.runs++
	level := fmt.Sprintf("s0:c%d,c%d", c.runs, 512+c.runs)
	if o := c.DaemonSet.Spec.Template.Spec.SecurityContext.SELinuxOptions; o != nil {
		for to, value := range map[*string]string{&user: o.User, &role: o.Role, &domain: o.Type, &level: o.Level} {
			if value != "" {
				*to = value
			}
		}
	}
	files := "system_u:object_r:container_file_t:" + level
	// Volumes of hostPaths keep their labels; the image's files and other volumes get the container's.
	err := filepath.WalkDir(c.folder, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return syscall.Setxattr(path, "security.selinux", []byte(files), 0)
	})
	if err != nil {
		t.Fatalf("label the container's files: %v", err)
	}
	script := fmt.Sprintf(`#!/bin/sh
last=
for word; do
	if [ "$last" = --bundle ]; then
		sed -i -e 's/"process":{/"process":{"selinuxLabel":"%s:%s:%s:%s",/' -e 's/"linux":{/"linux":{"mountLabel":"%s",/' "$word/config.json"
	fi
	last=$word
done
exec runc "$@"
`, user, role, domain, level, files)
	path := filepath.Join(t.TempDir(), "runc")
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}
