// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

var (
	errUnauthenticated = errors.New("the bearer token is missing or not valid")
	errForbidden       = errors.New("the token's user may not get this path")
)

// reviewer asks the API server who a request's bearer token is and whether that user may read the
// path. Two small requests for each scrape; nothing is remembered, so a revoked token ends at once.
type reviewer struct {
	tokens   authenticationclient.TokenReviewInterface
	accesses authorizationclient.SubjectAccessReviewInterface
}

// delegatedAuth guards the metrics server.
func delegatedAuth(c *rest.Config, h *http.Client) (server.Filter, error) {
	r, err := newReviewer(c, h)
	if err != nil {
		return nil, err
	}
	return func(log logr.Logger, next http.Handler) (http.Handler, error) {
		return r.guard(log, next), nil
	}, nil
}

func (r reviewer) guard(log logr.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		err := r.review(request.Context(), request)
		switch {
		case err == nil:
			next.ServeHTTP(w, request)
		case errors.Is(err, errUnauthenticated):
			http.Error(w, err.Error(), http.StatusUnauthorized)
		case errors.Is(err, errForbidden):
			http.Error(w, err.Error(), http.StatusForbidden)
		default:
			log.Error(err, "Failed to review a request", "path", request.URL.Path)
			http.Error(w, "the API server could not review the token", http.StatusInternalServerError)
		}
	})
}

func (r reviewer) review(ctx context.Context, request *http.Request) error {
	token, found := strings.CutPrefix(request.Header.Get("Authorization"), "Bearer ")
	if !found || token == "" {
		return errUnauthenticated
	}
	who, err := r.token(ctx, token, nil)
	if err != nil {
		return err
	}
	allowed, err := r.allowed(ctx, who, authorizationv1.SubjectAccessReviewSpec{
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{
			Path: request.URL.Path, Verb: strings.ToLower(request.Method),
		},
	})
	if err == nil && !allowed {
		err = errForbidden
	}
	return err
}

// token is who holds a token that is for one of the audiences; none are the API server's own.
func (r reviewer) token(ctx context.Context, token string, audiences []string) (authenticationv1.UserInfo, error) {
	who, err := r.tokens.Create(ctx, &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: audiences},
	}, metav1.CreateOptions{})
	switch {
	case err != nil:
		return authenticationv1.UserInfo{}, fmt.Errorf("review token: %w", err)
	case !who.Status.Authenticated:
		return authenticationv1.UserInfo{}, errUnauthenticated
	case len(audiences) > 0 && !slices.ContainsFunc(who.Status.Audiences, func(a string) bool { return slices.Contains(audiences, a) }):
		return authenticationv1.UserInfo{}, errUnauthenticated // by an API server that doesn't know of audiences
	}
	return who.Status.User, nil
}

// allowed says whether a user has the right that is in spec.
func (r reviewer) allowed(ctx context.Context, user authenticationv1.UserInfo, spec authorizationv1.SubjectAccessReviewSpec) (bool, error) {
	spec.User, spec.UID, spec.Groups = user.Username, user.UID, user.Groups
	spec.Extra = map[string]authorizationv1.ExtraValue{}
	for k, v := range user.Extra {
		spec.Extra[k] = authorizationv1.ExtraValue(v)
	}
	access, err := r.accesses.Create(ctx, &authorizationv1.SubjectAccessReview{Spec: spec}, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("review access of %s: %w", user.Username, err)
	}
	return access.Status.Allowed && !access.Status.Denied, nil
}
