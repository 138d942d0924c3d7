// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/bpfmap-io/bpfmap-operator/test/await"
	"github.com/bpfmap-io/bpfmap-operator/test/certificate"
)

// TestMetricsCertificate: metrics are served with the certificate of a folder, which a client can check, and with the next one
// once it is renewed; without a token they aren't told.
func TestMetricsCertificate(t *testing.T) {
	const name = "bpfmap-agent-metrics.bpfmap-system.svc"
	a, dir := certificate.NewAuthority(t), t.TempDir()
	first := a.Write(dir, name)
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
	roots.AddCert(a.Certificate)
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
	wait(a.Write(dir, name))
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
