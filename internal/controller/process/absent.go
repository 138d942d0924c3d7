// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// namespaces is the resource that an answer is about if a namespace doesn't exist.
var namespaces = schema.GroupResource{Resource: "namespaces"}

// inNamespace matches the paths of what is in a namespace: what comes before the API's own path, and the namespace.
var inNamespace = regexp.MustCompile(`^(.*?)/(?:api/v1|apis/[^/]+/[^/]+)/namespaces/([^/]+)/.`)

// tellAbsent is a transport for a process whose rights are in some namespaces alone. Of a namespace that doesn't exist, or not
// any more, the API server says that the process may not (403), since the rights would be in it. That nothing is
// there (404) is just as true, and tells a map that was deleted with its namespace from one that must not be looked at. The
// process needs the right to get the namespaces themselves; without it, answers stay as they are.
func tellAbsent(watched Namespaces) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper { return absent{next, watched} }
}

type absent struct {
	next    http.RoundTripper
	watched Namespaces
}

// RoundTrip returns every answer as it is, but the refusal of what would be in a namespace that doesn't exist.
func (a absent) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := a.next.RoundTrip(r)
	if err != nil || answer.StatusCode != http.StatusForbidden {
		return answer, err
	}
	parts := inNamespace.FindStringSubmatch(r.URL.Path)
	if parts == nil || !slices.Contains(a.watched, parts[2]) || !a.isAbsent(r, parts[1], parts[2]) {
		return answer, nil
	}
	said := apierrors.NewNotFound(namespaces, parts[2]).Status()
	said.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"} // by which a client knows it
	text, err := json.Marshal(said)
	if err != nil {
		return nil, fmt.Errorf("tell that namespace %s doesn't exist: %w", parts[2], err)
	}
	_ = answer.Body.Close()
	return &http.Response{
		Status: "404 Not Found", StatusCode: http.StatusNotFound, Proto: answer.Proto, ProtoMajor: answer.ProtoMajor, ProtoMinor: answer.ProtoMinor,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(text)), ContentLength: int64(len(text)), Request: r,
	}, nil
}

// isAbsent asks the API server for a namespace, with what authenticates r. Only a definite answer counts.
func (a absent) isAbsent(r *http.Request, base, name string) bool {
	ask := r.Clone(r.Context())
	ask.Method, ask.Body, ask.GetBody, ask.ContentLength = http.MethodGet, nil, nil, 0
	ask.URL.Path, ask.URL.RawPath, ask.URL.RawQuery = base+"/api/v1/namespaces/"+name, "", ""
	ask.Header.Set("Accept", "application/json")
	ask.Header.Del("Content-Type")
	answer, err := a.next.RoundTrip(ask)
	if err != nil {
		return false
	}
	defer func() { _ = answer.Body.Close() }()
	var said metav1.Status
	if answer.StatusCode != http.StatusNotFound || json.NewDecoder(io.LimitReader(answer.Body, 1<<16)).Decode(&said) != nil {
		return false
	}
	return said.Reason == metav1.StatusReasonNotFound && said.Details != nil && said.Details.Kind == namespaces.Resource && said.Details.Name == name
}

// IsNamespaceAbsent says of the error of a read that the namespace doesn't exist in which something was looked for. It is one of
// processes that watch some namespaces alone: of others, a list of what is in such a namespace is empty.
func IsNamespaceAbsent(err error) bool {
	var status apierrors.APIStatus
	if !apierrors.IsNotFound(err) || !errors.As(err, &status) {
		return false
	}
	about := status.Status().Details
	return about != nil && about.Kind == namespaces.Resource
}
