// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
)

// plane is one API server for all tests that need one.
var plane struct {
	sync.Once
	*controlplane.ControlPlane
	kubeconfig string
	err        error
}

// apiServer is the kubeconfig of an administrator of a real API server with the CRDs. Other tests have left their objects there.
func apiServer(t *testing.T) string {
	t.Helper()
	plane.Do(func() {
		if plane.ControlPlane, plane.err = controlplane.Start(context.Background(), controlplane.Options{CRDs: true}); plane.err == nil {
			plane.kubeconfig, plane.err = plane.Kubeconfig()
		}
	})
	if plane.err != nil {
		t.Fatal(plane.err)
	}
	return plane.kubeconfig
}

func TestMain(m *testing.M) {
	code := m.Run()
	if plane.ControlPlane != nil {
		if err := plane.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, errors.Join(errors.New("stop the API server"), err))
			code = max(code, 1)
		}
	}
	os.Exit(code)
}
