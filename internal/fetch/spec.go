// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
)

// Spec names a document: exactly one of HTTP and Artifact is set.
type Spec struct {
	// Namespace is that of the BPFMap.
	Namespace string
	HTTP      *v1alpha1.HTTPSource
	Artifact  *v1alpha1.ArtifactSource
}

// SpecOf is the document of a source; false if it isn't one that is fetched.
func SpecOf(namespace string, from *v1alpha1.EntrySource) (Spec, bool) {
	return Spec{Namespace: namespace, HTTP: from.HTTP, Artifact: from.Artifact}, from.HTTP != nil || from.Artifact != nil
}

// ID identifies what is fetched, and with which rights: documents of two BPFMaps with one ID are one document. A
// URL that is fetched with nothing of the namespace is one document for all namespaces. The interval isn't part of it.
func (s Spec) ID() string {
	about := s
	if s.HTTP != nil {
		h := *s.HTTP
		h.Interval.Duration = 0
		about.HTTP = &h
		if !s.usesNamespace() {
			about.Namespace = ""
		}
	}
	text, err := json.Marshal(about)
	if err != nil {
		panic(fmt.Sprintf("identify a document: %v", err)) // plain data always marshals
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func (s Spec) usesNamespace() bool {
	return s.Artifact != nil || s.HTTP.SecretRef != nil || s.HTTP.ProxySecretRef != nil || (s.HTTP.Signature != nil && s.HTTP.Signature.PublicKeyFrom != nil)
}

// References are the Secrets and ConfigMaps that fetching the document needs, as kind and name.
func (s Spec) References() [][2]string {
	var all [][2]string
	if s.HTTP == nil {
		return nil
	}
	for _, ref := range []*v1alpha1.FetchSecretRef{s.HTTP.SecretRef, s.HTTP.ProxySecretRef} {
		if ref != nil {
			all = append(all, [2]string{"Secret", ref.Name})
		}
	}
	if sig := s.HTTP.Signature; sig != nil && sig.PublicKeyFrom != nil {
		switch from := sig.PublicKeyFrom; {
		case from.SecretRef != nil:
			all = append(all, [2]string{"Secret", from.SecretRef.Name})
		case from.ConfigMapRef != nil:
			all = append(all, [2]string{"ConfigMap", from.ConfigMapRef.Name})
		}
	}
	return all
}

// Name is for messages.
func (s Spec) Name() string {
	return compile.FetchedName(&v1alpha1.EntrySource{HTTP: s.HTTP, Artifact: s.Artifact})
}

// Meta is what is known of the contents that were fetched of a document.
type Meta struct {
	// Digest is the SHA-256 of the document as it was sent, "sha256:…". Of a file in an archive it is that of the file.
	Digest string `json:"digest"`
	// Bytes is its length as it was sent, TextBytes that of its text.
	Bytes     int64 `json:"bytes"`
	TextBytes int64 `json:"textBytes"`
	// TextDigest is the SHA-256 of its text in hexadecimal digits.
	TextDigest string `json:"textDigest"`
	// ETag and LastModified are what the server told with it.
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"lastModified,omitempty"`
	// Signature identifies the signature that was checked and its key; empty for none.
	Signature string `json:"signature,omitempty"`
	// Origin is the digest of the artifact that the file is of.
	Origin string `json:"origin,omitempty"`
}

// Artifact is what a Flux source object tells of its artifact.
type Artifact struct {
	URL      string `json:"url"`
	Digest   string `json:"digest"`
	Revision string `json:"revision"`
	Size     *int64 `json:"size"`
}

// Objects reads what a document needs of its BPFMap's namespace.
type Objects interface {
	// Data are the data of a Secret or ConfigMap; nil if it doesn't exist.
	Data(ctx context.Context, kind, namespace, name string) (map[string][]byte, error)
	// Artifact is the artifact of a Flux source object. The error says what is missing: the kind, the object, or
	// its artifact.
	Artifact(ctx context.Context, namespace, kind, name string) (Artifact, error)
}

// DefaultInterval is the time between two fetches of a document whose source names none.
const DefaultInterval = time.Hour

// artifactInterval is how often a source object is looked at: the controller of Flux has fetched the artifact, and a
// look is one small read.
const artifactInterval = 30 * time.Second

// interval is the time between two fetches.
func (s Spec) interval() time.Duration {
	switch {
	case s.Artifact != nil:
		return artifactInterval
	case s.HTTP.Interval.Duration <= 0:
		return DefaultInterval
	}
	return s.HTTP.Interval.Duration
}
