// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
)

func (cp *ControlPlane) writePKI() error {
	ca, err := newAuthority()
	if err != nil {
		return err
	}
	cp.ca = ca
	serving, err := ca.serving()
	if err != nil {
		return err
	}
	_, accountKey, err := newKey()
	if err != nil {
		return err
	}
	return writeFiles(map[string][]byte{
		cp.path("ca.crt"):              ca.pem,
		cp.path("apiserver.crt"):       serving.cert,
		cp.path("apiserver.key"):       serving.key,
		cp.path("service-account.key"): accountKey,
	})
}

// startEtcd tries again with other ports if another process took one between choosing and listening.
func (cp *ControlPlane) startEtcd(ctx context.Context) error {
	const tries = 3
	var failures error
	for range tries {
		err := cp.tryEtcd(ctx)
		if err == nil {
			return nil
		}
		failures = errors.Join(failures, err)
		cp.etcd.stop()
		if cp.etcd == nil || ctx.Err() != nil {
			break
		}
	}
	return failures
}

func (cp *ControlPlane) tryEtcd(ctx context.Context) error {
	client, err := freePort()
	if err != nil {
		return err
	}
	peer, err := freePort()
	if err != nil {
		return err
	}
	data := cp.path("etcd")
	if err := os.RemoveAll(data); err != nil {
		return fmt.Errorf("remove etcd's data: %w", err)
	}
	cp.etcdPort = client
	clientURL, peerURL := fmt.Sprintf("http://127.0.0.1:%d", client), fmt.Sprintf("http://127.0.0.1:%d", peer)
	cp.etcd, err = startProcess("etcd", cp.path("etcd.log"),
		"--data-dir="+data,
		"--listen-client-urls="+clientURL,
		"--advertise-client-urls="+clientURL,
		"--listen-peer-urls="+peerURL,
		"--initial-advertise-peer-urls="+peerURL,
		"--initial-cluster=default="+peerURL,
		"--unsafe-no-fsync",
		"--log-level=warn",
	)
	if err != nil {
		return err
	}
	return cp.await(ctx, cp.etcd, func(ctx context.Context) error { return get(ctx, clientURL+"/readyz") })
}

func (cp *ControlPlane) apiserverArgs() []string {
	args := []string{
		fmt.Sprintf("--etcd-servers=http://127.0.0.1:%d", cp.etcdPort),
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		// An endpoint of the service "kubernetes" must not be on loopback; nobody calls it here.
		"--endpoint-reconciler-type=none",
		fmt.Sprintf("--secure-port=%d", cp.apiPort),
		"--tls-cert-file=" + cp.path("apiserver.crt"),
		"--tls-private-key-file=" + cp.path("apiserver.key"),
		"--client-ca-file=" + cp.path("ca.crt"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + cp.path("service-account.key"),
		"--service-account-signing-key-file=" + cp.path("service-account.key"),
		"--service-cluster-ip-range=10.0.0.0/24",
		"--authorization-mode=RBAC",
		"--allow-privileged=true",
		// Without a controller manager no namespace has the service account that it would ask for.
		"--disable-admission-plugins=ServiceAccount",
	}
	if cp.gates != "" {
		args = append(args, "--feature-gates="+cp.gates)
	}
	return args
}

func (cp *ControlPlane) waitForAPI(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(cp.admin)
	if err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	return cp.await(ctx, cp.apiserver, func(ctx context.Context) error {
		if err := client.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error(); err != nil {
			return err
		}
		_, err := client.CoreV1().Namespaces().Get(ctx, metav1.NamespaceDefault, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return errors.New("namespace default is not there yet")
		}
		return err
	})
}

// await polls ready until it succeeds, the program ends or startTimeout is over.
func (cp *ControlPlane) await(ctx context.Context, p *process, ready func(context.Context) error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, startTimeout, true, func(ctx context.Context) (bool, error) {
		if err := p.failed(); err != nil {
			return false, err
		}
		last = ready(ctx)
		return last == nil, nil
	})
	if err == nil || errors.Is(err, errEnded) {
		return err
	}
	return fmt.Errorf("wait for %s: %w (last answer: %w); its last lines:\n%s", p.name, err, last, tail(p.log, 2048))
}

func get(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("get %s: %s", url, response.Status)
	}
	return nil
}
