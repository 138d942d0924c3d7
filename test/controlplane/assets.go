// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// AssetsEnv names the environment variable that holds the folder with etcd and kube-apiserver. It is
// the variable that the Kubernetes ecosystem's own test tools use.
const AssetsEnv = "KUBEBUILDER_ASSETS"

// Tool returns the path of a control plane program or client (etcd, kube-apiserver, kubectl, helm):
// the one in $KUBEBUILDER_ASSETS, else the one in $PATH.
func Tool(name string) (string, error) {
	if dir := os.Getenv(AssetsEnv); dir != "" {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("find %s in $%s or $PATH (run the tests by `make test`, or set %s to what "+
			"`hack/controlplane/build.sh` prints): %w", name, AssetsEnv, AssetsEnv, err)
	}
	return path, nil
}

// Root returns the folder of the repository that this package was compiled from.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}
