// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/bpfmap-io/bpfmap-operator/test/await"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	next int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, next: 1}
	a.cert, a.key = a.issue(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

func (a *authority) issue(c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber, c.NotAfter = big.NewInt(a.next), time.Now().Add(time.Hour)
	a.next++
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return made, key
}

// write renews the certificate in a folder as the volume of a Secret does: by a symbolic link that is swapped.
func (a *authority) write(dir, name string) *x509.Certificate {
	a.t.Helper()
	cert, key := a.issue(&x509.Certificate{DNSNames: []string{name}})
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	data, err := os.MkdirTemp(dir, "..data-")
	if err != nil {
		a.t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{"tls.crt": {Type: "CERTIFICATE", Bytes: cert.Raw}, "tls.key": {Type: "EC PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(filepath.Join(data, file), pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
		if link := filepath.Join(dir, file); !exists(link) {
			if err := os.Symlink(filepath.Join("..data", file), link); err != nil {
				a.t.Fatal(err)
			}
		}
	}
	next := filepath.Join(dir, "..next")
	if err := os.Symlink(filepath.Base(data), next); err != nil {
		a.t.Fatal(err)
	}
	if err := os.Rename(next, filepath.Join(dir, "..data")); err != nil {
		a.t.Fatal(err)
	}
	return cert
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// TestMetricsCertificate: metrics are served with the certificate of a folder, which a client can check, and with the next one
// once it is renewed; without a token they aren't told.
func TestMetricsCertificate(t *testing.T) {
	const name = "bpfmap-agent-metrics.bpfmap-system.svc"
	a, dir := newAuthority(t), t.TempDir()
	first := a.write(dir, name)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	m, err := NewManager(&rest.Config{Host: "https://127.0.0.1:1"}, Options{
		MetricsBindAddress: address, MetricsSecure: true, MetricsCertDir: dir, HealthProbeBindAddress: Disabled,
	}, cache.Options{}, func(*manager.Options) {})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	serial := func() (string, error) {
		c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: name}}}
		response, err := c.Get("https://" + address + "/metrics")
		if err != nil {
			return "", err
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusUnauthorized {
			t.Errorf("without a token: %s", response.Status)
		}
		return response.TLS.PeerCertificates[0].SerialNumber.String(), nil
	}
	wait := func(want *x509.Certificate) {
		t.Helper()
		await.Nil(t, 30*time.Second, func() error {
			if got, err := serial(); err != nil || got != want.SerialNumber.String() {
				return fmt.Errorf("the certificate is %s, want %s: %w", got, want.SerialNumber, err)
			}
			return nil
		})
	}
	wait(first)
	wait(a.write(dir, name))
}

// TestNoMetricsCertificate: what is wrong with the folder is said at once, with the flag's name.
func TestNoMetricsCertificate(t *testing.T) {
	dir := t.TempDir()
	_, err := NewManager(&rest.Config{Host: "https://127.0.0.1:1"}, Options{MetricsBindAddress: "127.0.0.1:0", MetricsSecure: true, MetricsCertDir: dir},
		cache.Options{}, func(*manager.Options) {})
	if err == nil || !strings.Contains(err.Error(), "--metrics-cert-dir "+dir) || !strings.Contains(err.Error(), "tls.crt") {
		t.Errorf("got %v", err)
	}
}
