// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// startTimeout bounds the start of each of the two programs; on a busy machine with two cores the API
// server takes up to ten seconds.
const startTimeout = 2 * time.Minute

// Options say how to start. The zero value is usable.
type Options struct {
	// Dir keeps etcd's data, certificates, kubeconfigs and logs. Empty means a temporary folder
	// that Stop removes.
	Dir string
	// CRDs installs config/crd/bases of this repository and waits until the API serves them.
	CRDs bool
	// FeatureGates are those of the API server, as in "WatchList=false"; empty leaves its defaults.
	FeatureGates string
}

// ControlPlane is a running etcd and API server. Its methods are safe for one goroutine at a time;
// the configs that it returns are copies.
type ControlPlane struct {
	dir       string
	temporary bool
	ca        *authority
	admin     *rest.Config
	gates     string
	etcdPort  int
	apiPort   int
	etcd      *process
	apiserver *process
}

// Start brings up etcd and the API server and waits until the API is ready and the namespace
// "default" exists. The caller must Stop it.
func Start(ctx context.Context, o Options) (_ *ControlPlane, err error) {
	cp := &ControlPlane{dir: o.Dir, gates: o.FeatureGates}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("start control plane: %w", err), cp.Stop())
		}
	}()
	if cp.dir == "" {
		cp.temporary = true
		if cp.dir, err = os.MkdirTemp("", "bpfmap-controlplane-"); err != nil {
			return nil, err
		}
	}
	if cp.dir, err = filepath.Abs(cp.dir); err != nil {
		return nil, err
	}
	if err := cp.writePKI(); err != nil {
		return nil, err
	}
	if err := cp.startEtcd(ctx); err != nil {
		return nil, err
	}
	if cp.apiPort, err = freePort(); err != nil {
		return nil, err
	}
	if cp.admin, err = cp.ConfigFor("bpfmap-admin", "system:masters"); err != nil {
		return nil, err
	}
	if err := cp.StartAPIServer(ctx); err != nil {
		return nil, err
	}
	if o.CRDs {
		if err := cp.InstallCRDs(ctx); err != nil {
			return nil, err
		}
	}
	return cp, nil
}

// New starts a control plane with the project's CRDs for one test and stops it at the test's end.
func New(t testing.TB) *ControlPlane {
	t.Helper()
	cp, err := Start(t.Context(), Options{CRDs: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cp.Stop(); err != nil {
			t.Error(err)
		}
	})
	return cp
}

// Stop ends both programs, the API server first because it hangs without etcd, and removes a
// temporary folder. It takes at most ten seconds and may be called twice.
func (cp *ControlPlane) Stop() error {
	cp.StopAPIServer()
	cp.etcd.stop()
	cp.etcd = nil
	if !cp.temporary || cp.dir == "" {
		return nil
	}
	if err := os.RemoveAll(cp.dir); err != nil {
		return fmt.Errorf("remove control plane's folder: %w", err)
	}
	return nil
}

// StopAPIServer ends the API server and keeps etcd with its data, as when the API is gone for a while.
func (cp *ControlPlane) StopAPIServer() {
	cp.apiserver.stop()
	cp.apiserver = nil
}

// RestartAPIServer starts the API server again with other feature gates, as Options.FeatureGates.
func (cp *ControlPlane) RestartAPIServer(ctx context.Context, gates string) error {
	cp.StopAPIServer()
	cp.gates = gates
	return cp.StartAPIServer(ctx)
}

// StartAPIServer starts the API server at the address that it had before and waits until it is ready.
func (cp *ControlPlane) StartAPIServer(ctx context.Context) error {
	if cp.apiserver != nil {
		return errors.New("API server is already running")
	}
	p, err := startProcess("kube-apiserver", cp.path("kube-apiserver.log"), cp.apiserverArgs()...)
	if err != nil {
		return err
	}
	cp.apiserver = p
	return cp.waitForAPI(ctx)
}

// APIServerPID is the process of the API server, for who measures it; 0 while it doesn't run.
func (cp *ControlPlane) APIServerPID() int {
	if cp.apiserver == nil {
		return 0
	}
	return cp.apiserver.cmd.Process.Pid
}

// Config returns a client configuration with every right and without client-side rate limits.
func (cp *ControlPlane) Config() *rest.Config { return rest.CopyConfig(cp.admin) }

// ConfigFor returns a client configuration for a user in the given groups, who has only the rights
// that RBAC grants. The user of a service account is "system:serviceaccount:<namespace>:<name>".
func (cp *ControlPlane) ConfigFor(user string, groups ...string) (*rest.Config, error) {
	pair, err := cp.ca.client(user, groups...)
	if err != nil {
		return nil, err
	}
	return &rest.Config{
		Host: cp.URL(),
		TLSClientConfig: rest.TLSClientConfig{
			CAData: cp.ca.pem, CertData: pair.cert, KeyData: pair.key,
		},
		QPS: -1,
	}, nil
}

// URL is the address of the API server; it stays the same when the API server is started again.
func (cp *ControlPlane) URL() string { return fmt.Sprintf("https://127.0.0.1:%d", cp.apiPort) }

// WriteKubeconfig writes a kubeconfig file (mode 0600) for the given client configuration.
func (cp *ControlPlane) WriteKubeconfig(path string, c *rest.Config) error {
	const name = "bpfmap-controlplane"
	file := clientcmdapi.NewConfig()
	file.CurrentContext = name
	file.Clusters[name] = &clientcmdapi.Cluster{Server: c.Host, CertificateAuthorityData: c.CAData}
	file.AuthInfos[name] = &clientcmdapi.AuthInfo{ClientCertificateData: c.CertData, ClientKeyData: c.KeyData, Token: c.BearerToken}
	file.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	if err := clientcmd.WriteToFile(*file, path); err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	return nil
}

// Kubeconfig writes the administrator's kubeconfig into the control plane's folder once and returns
// its path.
func (cp *ControlPlane) Kubeconfig() (string, error) {
	path := cp.path("admin.kubeconfig")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	return path, cp.WriteKubeconfig(path, cp.admin)
}

// Dir is the folder that keeps the logs (etcd.log, kube-apiserver.log) and etcd's data.
func (cp *ControlPlane) Dir() string { return cp.dir }

func (cp *ControlPlane) path(name string) string { return filepath.Join(cp.dir, name) }

// freePort returns a port on loopback that nobody listens on. It stays below the range from which
// the kernel takes ports of outgoing connections, so that it is still free at a restart.
func freePort() (int, error) {
	const low, high, tries = 20000, 32000, 100
	for range tries {
		port := low + rand.IntN(high-low)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		return port, l.Close()
	}
	return 0, fmt.Errorf("find a free port between %d and %d: %d tries failed", low, high, tries)
}
