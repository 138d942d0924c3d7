// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/contents"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// ContentsOptions say whether and where an agent lets people read what its node's maps hold.
type ContentsOptions struct {
	// BindAddress is the host:port that serves it, or process.Disabled. A loopback address can be reached by
	// port-forwarding alone.
	BindAddress string
	// Pod is the agent's own, by whose name people reach it.
	Pod types.NamespacedName
	// Node reads the maps.
	Node contents.Node
}

// enabled says whether contents are served.
func (o *ContentsOptions) enabled() bool {
	return o.BindAddress != "" && o.BindAddress != process.Disabled
}

// The bounds of the server.
const (
	// maxConnections is how many connections there are at a time, whoever made them.
	maxConnections = 64
	// headerWithin is how long a client may take for its TLS handshake and the header of a request, idleWithin how long it may
	// wait with the next one.
	headerWithin, idleWithin = 10 * time.Second, time.Minute
	maxHeaderBytes           = 64 << 10
	// certificateValid is how long the certificate of a process is: longer than any runs.
	certificateValid = 10 * 365 * 24 * time.Hour
)

// contentsServer serves contents by HTTPS.
type contentsServer struct {
	options ContentsOptions
	handler http.Handler
	// published is told where it listens.
	published func(*v1alpha1.ContentsEndpoint)
}

// serveContents lets the manager run the server.
func (a *Agent) serveContents(cfg *rest.Config, o *ContentsOptions) error {
	if !o.enabled() {
		return nil
	}
	reviews, err := process.NewContentsReviews(cfg, a.manager.GetHTTPClient())
	if err != nil {
		return err
	}
	log := a.manager.GetLogger().WithName("contents")
	s := &contentsServer{*o, contents.NewHandler(a.node, o.Node, declaredHere{a.reconciler}, reviews, log), a.state.setContents}
	if err := a.manager.Add(manager.RunnableFunc(s.run)); err != nil {
		return fmt.Errorf("set up contents: %w", err)
	}
	return nil
}

// run serves until ctx ends.
func (s *contentsServer) run(ctx context.Context) error {
	certificate, err := makeCertificate(s.options.Pod)
	if err != nil {
		return fmt.Errorf("serve contents: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.options.BindAddress)
	if err != nil {
		return fmt.Errorf("serve contents (--contents-bind-address): %w", err)
	}
	server := &http.Server{
		Handler: s.handler, ReadHeaderTimeout: headerWithin, ReadTimeout: headerWithin, IdleTimeout: idleWithin, MaxHeaderBytes: maxHeaderBytes,
		TLSConfig: &tls.Config{
			MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate},
			// Who a certificate names is looked at for each request, with the authorities that the cluster has then.
			ClientAuth: tls.RequestClientCert,
		},
	}
	stopped := context.AfterFunc(ctx, func() { _ = server.Close() }) // whoever reads sees that the answer was cut off
	defer stopped()
	fingerprint := sha256.Sum256(certificate.Certificate[0])
	s.published(&v1alpha1.ContentsEndpoint{
		Namespace: s.options.Pod.Namespace, Pod: s.options.Pod.Name,
		Port: int32(listener.Addr().(*net.TCPAddr).Port), CertificateSHA256: hex.EncodeToString(fingerprint[:]),
	})
	err = server.ServeTLS(netutil.LimitListener(listener, maxConnections), "", "")
	if ctx.Err() != nil || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve contents: %w", err)
}

// makeCertificate makes a key and a certificate for this process. Nobody signs it: clients know its fingerprint from the
// BPFNodeState, which this node's agent alone writes.
func makeCertificate(pod types.NamespacedName) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a serial number: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "bpfmap-agent " + pod.String()},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certificateValid), // a clock may be behind
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// declaredHere tells what this node is to hold.
type declaredHere struct{ r *reconciler }

// Revision is the revision that the node is to hold of a BPFMap, with its contents.
func (d declaredHere) Revision(ctx context.Context, key revision.Key) (*revision.Revision, error) {
	if !d.r.namespaces.Watch(key.Namespace) {
		return nil, fmt.Errorf("%w (%s): namespace %s is not among those that the operator watches", contents.ErrNotFound, d.r.node, key.Namespace)
	}
	e, _ := d.r.readiness.current() // nil while the node isn't ready: Plan says so
	h, err := d.r.held(ctx, e, key)
	if err != nil {
		return nil, err
	}
	c, err := d.r.cached(ctx, key, h)
	switch {
	case err != nil:
		return nil, err
	case c.wanted == nil && c.removal != "":
		return nil, fmt.Errorf("%w (%s): %s", contents.ErrNotFound, d.r.node, c.removal)
	case c.wanted == nil:
		return nil, fmt.Errorf("%w (%s): no revision of %s is for this node yet", contents.ErrNotFound, d.r.node, key)
	}
	return d.r.loader.load(ctx, c.wanted)
}

// Sensitive says whether any active revision of a BPFMap has contents from a Secret. It may have in a namespace that isn't
// watched, where nobody can tell.
func (d declaredHere) Sensitive(ctx context.Context, key revision.Key) (bool, error) {
	if !d.r.namespaces.Watch(key.Namespace) {
		return true, nil
	}
	var list v1alpha1.BPFMapRevisionList
	err := d.r.client.List(ctx, &list, client.InNamespace(key.Namespace), client.MatchingFields{indexMapName: key.Name}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return false, fmt.Errorf("list revisions of %s: %w", key, err)
	}
	for i := range list.Items {
		if list.Items[i].Spec.Sensitive {
			return true, nil
		}
	}
	return false, nil
}
