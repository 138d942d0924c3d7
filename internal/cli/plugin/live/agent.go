// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/contents"
)

// errWrongCertificate: who answers isn't the agent that wrote the BPFNodeState, or that wrote it before it restarted. Nothing
// was sent to it: no token and no question.
var errWrongCertificate = errors.New("what answers there doesn't have the certificate that the BPFNodeState names")

const (
	handshakeWithin = 10 * time.Second
	idleAfter       = 30 * time.Second
	// maxRefused bounds an answer that is an error, maxDocument one that is JSON and is kept, in bytes.
	maxRefused, maxDocument = 8 << 10, 64 << 20
)

// agent asks one node's agent.
type agent struct {
	node   string
	client *http.Client
}

// newAgent makes the client of a node's agent. credentials are those that it proves who asks with; where is taken for the
// address of the agent.
func newAgent(node string, credentials *rest.Config, at *v1alpha1.ContentsEndpoint, dial Dial) (*agent, error) {
	config, err := credentials.TransportConfig()
	if err != nil {
		return nil, fmt.Errorf("read credentials: %w", err)
	}
	own, err := transport.TLSConfigFor(config) // also loads files
	if err != nil {
		return nil, fmt.Errorf("read credentials: %w", err)
	}
	base := &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, at) },
		TLSClientConfig:     pinned(at.CertificateSHA256, own),
		TLSHandshakeTimeout: handshakeWithin, IdleConnTimeout: idleAfter, MaxConnsPerHost: 2,
		DisableCompression: true,
	}
	// These put the token into requests, which go out after the handshake.
	wrapped, err := transport.HTTPWrappersForConfig(config, base)
	if err != nil {
		return nil, fmt.Errorf("read credentials: %w", err)
	}
	return &agent{node, &http.Client{Transport: wrapped, CheckRedirect: neverRedirect}}, nil
}

func neverRedirect(*http.Request, []*http.Request) error {
	return errors.New("the agent redirects, which agents don't do")
}

// pinned trusts the one certificate with a fingerprint, and shows the client certificate of own, if there is one.
func pinned(fingerprint string, own *tls.Config) *tls.Config {
	c := &tls.Config{
		MinVersion: tls.VersionTLS13,
		// No authority signed it: the fingerprint is compared below, before anything is sent.
		InsecureSkipVerify: true, //nolint:gosec // as said
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return errWrongCertificate
			}
			sum := sha256.Sum256(s.PeerCertificates[0].Raw)
			if hex.EncodeToString(sum[:]) != fingerprint {
				return errWrongCertificate
			}
			return nil
		},
	}
	if own != nil {
		c.Certificates, c.GetClientCertificate = own.Certificates, own.GetClientCertificate
	}
	return c
}

// close ends idle connections.
func (a *agent) close() { a.client.CloseIdleConnections() }

// ask writes the answer to a question. The error says why there is none, or that what was written isn't all.
func (a *agent) ask(ctx context.Context, q *contents.Question, out io.Writer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+a.node+q.URL(), nil)
	if err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	response, err := a.client.Do(request)
	if err != nil {
		var inner *url.Error
		if errors.As(err, &inner) {
			err = inner.Err // without the URL, which says nothing
		}
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, maxRefused)) // the status counts
		return &refusal{response.StatusCode, strings.TrimSpace(string(text))}
	}
	if _, err := io.Copy(out, response.Body); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return fmt.Errorf("the answer was cut off: %w", err)
	}
	switch outcome := response.Trailer.Get(contents.Outcome); outcome {
	case contents.OutcomeComplete:
		return nil
	case "":
		return errors.New("the answer was cut off")
	default:
		if text, err := url.QueryUnescape(outcome); err == nil {
			outcome = text
		}
		return errors.New(outcome)
	}
}

// refusal is an answer that is an error.
type refusal struct {
	status  int
	message string
}

// Error is what the agent says.
func (r *refusal) Error() string {
	if r.message == "" {
		return "the agent answers " + http.StatusText(r.status)
	}
	return r.message
}

// askJSON reads the answer to a question into a value.
func (a *agent) askJSON(ctx context.Context, q *contents.Question, into any) error {
	var b bounded
	if err := a.ask(ctx, q, &b); err != nil {
		return err
	}
	if err := json.Unmarshal(b.bytes, into); err != nil {
		return fmt.Errorf("read the agent's answer: %w", err)
	}
	return nil
}

// bounded keeps what is written to it, up to maxDocument.
type bounded struct{ bytes []byte }

// Write keeps a part.
func (b *bounded) Write(p []byte) (int, error) {
	if len(b.bytes)+len(p) > maxDocument {
		return 0, fmt.Errorf("the answer is larger than %d MiB", maxDocument>>20)
	}
	b.bytes = append(b.bytes, p...)
	return len(p), nil
}
