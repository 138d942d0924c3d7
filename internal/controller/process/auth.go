// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"errors"
	"fmt"
	"net/http"
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
	authentication, err := authenticationclient.NewForConfigAndClient(c, h)
	if err != nil {
		return nil, fmt.Errorf("make client for token reviews: %w", err)
	}
	authorization, err := authorizationclient.NewForConfigAndClient(c, h)
	if err != nil {
		return nil, fmt.Errorf("make client for access reviews: %w", err)
	}
	r := reviewer{authentication.TokenReviews(), authorization.SubjectAccessReviews()}
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
	who, err := r.tokens.Create(ctx, &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("review token: %w", err)
	}
	if !who.Status.Authenticated {
		return errUnauthenticated
	}
	return r.authorize(ctx, who.Status.User, request)
}

func (r reviewer) authorize(ctx context.Context, user authenticationv1.UserInfo, request *http.Request) error {
	extra := map[string]authorizationv1.ExtraValue{}
	for k, v := range user.Extra {
		extra[k] = authorizationv1.ExtraValue(v)
	}
	access, err := r.accesses.Create(ctx, &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{
			User: user.Username, UID: user.UID, Groups: user.Groups, Extra: extra,
			NonResourceAttributes: &authorizationv1.NonResourceAttributes{
				Path: request.URL.Path, Verb: strings.ToLower(request.Method),
			},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("review access of %s: %w", user.Username, err)
	}
	if !access.Status.Allowed {
		return errForbidden
	}
	return nil
}
