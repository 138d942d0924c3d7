// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// Client fetches documents. It is safe for concurrent use.
type Client struct {
	// Policy is where documents may be, and Artifacts where artifacts of Flux may; nil if they aren't allowed.
	Policy, Artifacts *Policy
	Limits            Limits
	// UserAgent is what servers are told.
	UserAgent string
	// Proxy is the administrator's; nil for none. It isn't used for artifacts.
	Proxy *url.URL
	// Environment says that the proxies of the environment (HTTP_PROXY, HTTPS_PROXY, NO_PROXY) are used, if Proxy is nil.
	// They have to be at addresses that Policy allows.
	Environment bool
	// NoSecrets is why no Secret may be read, and sources that name one are refused; empty if they may.
	NoSecrets string
	// Objects reads Secrets and the like.
	Objects Objects
	// Clock tells the time; time.Now if nil.
	Clock Clock

	// verifying lets one signature of a whole document be checked at a time: that takes the document in memory.
	verifying sync.Mutex
}

// Fetched is what a fetch brought.
type Fetched struct {
	Meta
	// Unchanged says that the contents are those that were there before; then there is no text.
	Unchanged bool
}

// Check says why a document can't be fetched before somebody changes the spec or the settings; nil if it can.
func (c *Client) Check(s Spec) error {
	if s.Artifact != nil {
		if c.Artifacts == nil {
			return errors.New("artifacts of Flux are not allowed: the administrator has to set --artifact-sources (chart: controller.sources.artifacts.enabled)")
		}
		return checkPath(s.Artifact.Path)
	}
	for _, ref := range s.References() {
		if c.NoSecrets != "" && ref[0] == "Secret" {
			return fmt.Errorf("it needs Secret %s, and %s", ref[1], c.NoSecrets)
		}
	}
	for _, text := range s.urls() {
		u, err := ParseURL(text)
		if err != nil {
			return err
		}
		if err := c.Policy.CheckURL(u); err != nil {
			return err
		}
	}
	return nil
}

// urls are the URLs that are fetched.
func (s Spec) urls() []string {
	all := []string{s.HTTP.URL}
	if sum := s.HTTP.Checksum; sum != nil && sum.URL != "" {
		all = append(all, sum.URL)
	}
	if sig := s.HTTP.Signature; sig != nil && sig.URL != "" {
		all = append(all, sig.URL)
	}
	return all
}

// Fetch writes the text of a document to a file of that path, and says what it is. before is what was fetched
// last; nil if it isn't there any more. Beside the file there is another one in its folder until Fetch returns.
func (c *Client) Fetch(ctx context.Context, s Spec, before *Meta, text string) (Fetched, error) {
	if err := c.Check(s); err != nil {
		return Fetched{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.Limits.Total, fmt.Errorf("it took longer than %s", c.Limits.Total))
	defer cancel()
	raw, err := os.CreateTemp(filepath.Dir(text), "raw-*")
	if err != nil {
		return Fetched{}, fmt.Errorf("make a file for the document: %w", err)
	}
	defer func() {
		_ = raw.Close() // it is read from, and goes
		_ = os.Remove(raw.Name())
	}()
	var got Fetched
	if s.Artifact != nil {
		got, err = c.artifact(ctx, s, before, raw, text)
	} else {
		got, err = c.http(ctx, s, before, raw, text)
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return got, err
}

// http fetches a document by its URL.
func (c *Client) http(ctx context.Context, s Spec, before *Meta, raw *os.File, text string) (Fetched, error) {
	h := s.HTTP
	with, err := c.session(ctx, s)
	if err != nil {
		return Fetched{}, err
	}
	defer with.close()
	key, err := c.publicKey(ctx, s)
	if err != nil {
		return Fetched{}, err
	}
	want, err := c.checksum(ctx, with, h)
	if err != nil {
		return Fetched{}, err
	}
	q := request{url: h.URL, most: c.Limits.Bytes, verified: h.Checksum != nil || key != nil}
	isKnown := before != nil && want != "" && before.Digest == want
	if h.Checksum == nil && (key == nil || before != nil && before.Signature != "") {
		q.before = before
	}
	hash := sha256.New()
	var got answer
	if !isKnown {
		got, err = with.get(ctx, q, io.MultiWriter(raw, hash))
		if err != nil {
			return Fetched{}, err
		}
		isKnown = got.unchanged
	}
	var signature []byte
	if key != nil {
		if signature, err = c.signature(ctx, with, h); err != nil {
			return Fetched{}, err
		}
	}
	switch {
	case isKnown && (key == nil || before.Signature == signatureID(h, key, signature)):
		return Fetched{Meta: *before, Unchanged: true}, c.checkAge(h, signature)
	case isKnown: // by another signature or key, which is checked with the whole document
		q.before = nil
		if got, err = with.get(ctx, q, io.MultiWriter(raw, hash)); err != nil {
			return Fetched{}, err
		}
	}
	m := Meta{Digest: "sha256:" + hex.EncodeToString(hash.Sum(nil)), Bytes: got.bytes, ETag: got.etag, LastModified: got.lastModified}
	if want != "" && m.Digest != want {
		return Fetched{}, fmt.Errorf("the checksum is %s, not %s as the spec asks for", m.Digest, want)
	}
	if key != nil {
		if err := c.verify(h, key, signature, raw, hash.Sum(nil)); err != nil {
			return Fetched{}, err
		}
		m.Signature = signatureID(h, key, signature)
	}
	return c.finish(m, raw, text)
}

// finish turns a document into its text.
func (c *Client) finish(m Meta, raw *os.File, text string) (Fetched, error) {
	sum, err := c.writeText(raw, m.Bytes, text, &m.TextBytes)
	m.TextDigest = sum
	return Fetched{Meta: m}, err
}

// publicKey is the key that a signature has to be made with; nil if none is asked for.
func (c *Client) publicKey(ctx context.Context, s Spec) ([]byte, error) {
	sig := s.HTTP.Signature
	switch {
	case sig == nil:
		return nil, nil
	case sig.PublicKeyFrom == nil:
		return []byte(sig.PublicKey), nil
	case sig.PublicKeyFrom.SecretRef != nil:
		return c.keyOf(ctx, "Secret", s.Namespace, sig.PublicKeyFrom.SecretRef)
	}
	return c.keyOf(ctx, "ConfigMap", s.Namespace, sig.PublicKeyFrom.ConfigMapRef)
}

func (c *Client) keyOf(ctx context.Context, kind, namespace string, ref *v1alpha1.SourceRef) ([]byte, error) {
	data, err := c.data(ctx, kind, namespace, ref.Name)
	if err != nil {
		return nil, err
	}
	key, ok := data[ref.Key]
	if !ok {
		return nil, fmt.Errorf("%s %s has no key %s, which the public key is to be in", kind, ref.Name, ref.Key)
	}
	return key, nil
}

// data are those of an object that has to exist.
func (c *Client) data(ctx context.Context, kind, namespace, name string) (map[string][]byte, error) {
	data, err := c.Objects.Data(ctx, kind, namespace, name)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s %s: %w", kind, name, err)
	case data == nil:
		return nil, fmt.Errorf("%s %s does not exist", kind, name)
	}
	return data, nil
}
