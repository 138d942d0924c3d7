// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/bpfmap-io/bpfmap-operator/internal/contents"
)

// The ConfigMap in which every cluster publishes by which authorities it knows clients; and its key.
const (
	clientCANamespace = metav1.NamespaceSystem
	clientCAName      = "extension-apiserver-authentication"
	clientCAKey       = "client-ca-file"
)

// allAuthenticated is the group that the API server adds to every user whom it knows.
const allAuthenticated = "system:authenticated"

// contentsReviews ask the API server who asks for contents, and what they may read. Nothing is remembered.
type contentsReviews struct {
	reviewer
	authorities coreclient.ConfigMapInterface
}

// NewContentsReviews makes the reviews of questions about contents.
func NewContentsReviews(c *rest.Config, h *http.Client) (contents.Reviews, error) {
	r, err := newReviewer(c, h)
	if err != nil {
		return nil, err
	}
	core, err := coreclient.NewForConfigAndClient(c, h)
	if err != nil {
		return nil, fmt.Errorf("make client for the authorities of clients: %w", err)
	}
	return contentsReviews{r, core.ConfigMaps(clientCANamespace)}, nil
}

// newReviewer makes the clients of reviews.
func newReviewer(c *rest.Config, h *http.Client) (reviewer, error) {
	authentication, err := authenticationclient.NewForConfigAndClient(c, h)
	if err != nil {
		return reviewer{}, fmt.Errorf("make client for token reviews: %w", err)
	}
	authorization, err := authorizationclient.NewForConfigAndClient(c, h)
	if err != nil {
		return reviewer{}, fmt.Errorf("make client for access reviews: %w", err)
	}
	return reviewer{authentication.TokenReviews(), authorization.SubjectAccessReviews()}, nil
}

// Who is the user of the client certificate of a connection, as the API server would take it, or else of a bearer token:
// one for agents alone, or one for the API server.
func (r contentsReviews) Who(ctx context.Context, request *http.Request) (authenticationv1.UserInfo, error) {
	token, _ := strings.CutPrefix(request.Header.Get("Authorization"), "Bearer ")
	if request.TLS != nil && len(request.TLS.PeerCertificates) > 0 {
		who, err := r.certificate(ctx, request.TLS.PeerCertificates)
		if err == nil || token == "" {
			return who, err
		}
	}
	if token == "" {
		return authenticationv1.UserInfo{}, fmt.Errorf("%w: neither a client certificate nor a bearer token was sent", contents.ErrUnauthenticated)
	}
	for _, audiences := range audiencesOf(token) {
		who, err := r.token(ctx, token, audiences)
		if !errors.Is(err, errUnauthenticated) {
			return who, err
		}
	}
	return authenticationv1.UserInfo{}, fmt.Errorf("%w: the bearer token is not valid", contents.ErrUnauthenticated)
}

// audiencesOf are those that a token is reviewed for, one after the other; none is the API server. What a token says of
// itself, which nobody has checked yet, only decides which comes first: most tokens are then reviewed once.
func audiencesOf(token string) [][]string {
	forAgents, forServer := []string{contents.Audience}, []string(nil)
	var claims struct {
		Audience any `json:"aud"` // a string or a list of them
	}
	if parts := strings.Split(token, "."); len(parts) == 3 {
		if text, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil && json.Unmarshal(text, &claims) == nil {
			list, _ := claims.Audience.([]any)
			if claims.Audience == contents.Audience || slices.Contains(list, any(contents.Audience)) {
				return [][]string{forAgents, forServer}
			}
		}
	}
	return [][]string{forServer, forAgents}
}

// certificate is whom a certificate names, if an authority of the cluster signed it for a client: the common name is the
// user, organizations are groups.
func (r contentsReviews) certificate(ctx context.Context, chain []*x509.Certificate) (authenticationv1.UserInfo, error) {
	cm, err := r.authorities.Get(ctx, clientCAName, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return authenticationv1.UserInfo{}, fmt.Errorf("read the authorities of client certificates: %w", err)
	}
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	if err != nil || !roots.AppendCertsFromPEM([]byte(cm.Data[clientCAKey])) {
		return authenticationv1.UserInfo{}, fmt.Errorf("%w: the cluster takes no client certificates: use a token", contents.ErrUnauthenticated)
	}
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	_, err = chain[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: intermediates, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return authenticationv1.UserInfo{}, fmt.Errorf("%w: client certificate: %w", contents.ErrUnauthenticated, err)
	}
	subject := chain[0].Subject
	if subject.CommonName == "" {
		return authenticationv1.UserInfo{}, fmt.Errorf("%w: the client certificate has no common name", contents.ErrUnauthenticated)
	}
	return authenticationv1.UserInfo{Username: subject.CommonName, Groups: append(slices.Clone(subject.Organization), allAuthenticated)}, nil
}

// May says whether somebody has a right.
func (r contentsReviews) May(ctx context.Context, who authenticationv1.UserInfo, right authorizationv1.ResourceAttributes) (bool, error) {
	return r.allowed(ctx, who, authorizationv1.SubjectAccessReviewSpec{ResourceAttributes: &right})
}
