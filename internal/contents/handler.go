// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package contents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// errQuestion: the question is wrong.
var errQuestion = errors.New("bad request")

// Handler answers questions about the contents of one node's maps. Every one is for a user whom the API server knows and to
// whom it grants that, and leaves a line in the log.
type Handler struct {
	node     string
	maps     Node
	declared Declared
	reviews  Reviews
	log      logr.Logger
	gate     gate
}

// NewHandler makes the handler of a node.
func NewHandler(node string, maps Node, declared Declared, reviews Reviews, log logr.Logger) *Handler {
	return &Handler{node: node, maps: maps, declared: declared, reviews: reviews, log: log}
}

// ServeHTTP answers one question.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), AnswerWithin)
	defer cancel()
	a := newAnswer(w)
	a.end(h.serve(ctx, a, r))
}

func (h *Handler) serve(ctx context.Context, a *answer, r *http.Request) error {
	if err := h.gate.enter(); err != nil {
		return err
	}
	defer h.gate.leave()
	if err := checkRequest(r); err != nil {
		return fmt.Errorf("%w: %w", errQuestion, err)
	}
	who, err := h.who(ctx, r)
	if err != nil {
		return err
	}
	if err := h.gate.admit(who.Username); err != nil {
		return err
	}
	defer h.gate.dismiss(who.Username)
	q, err := ParseQuestion(r.URL)
	if err != nil {
		return fmt.Errorf("%w: %w", errQuestion, err)
	}
	err = h.answer(ctx, a, who, q)
	l := h.log.WithValues("user", who.Username, "asked", q.What, "about", q.Subject(), "bytes", a.sent)
	if err != nil {
		l.Info("A question about contents was refused or failed", "reason", err.Error())
		return err
	}
	l.Info("Contents were read")
	return nil
}

// checkRequest refuses what this handler would leave unheard.
func checkRequest(r *http.Request) error {
	if r.Method != http.MethodGet {
		return fmt.Errorf("method %s: contents can only be read (GET)", r.Method)
	}
	if r.ContentLength != 0 {
		return errors.New("the request has a body, and none is read")
	}
	for name := range r.Header {
		if strings.HasPrefix(name, "Impersonate-") {
			return fmt.Errorf("header %s: agents don't impersonate (--as, --as-group): ask as the user themselves", name)
		}
	}
	return nil
}

func (h *Handler) who(ctx context.Context, r *http.Request) (authenticationv1.UserInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, reviewWithin)
	defer cancel()
	who, err := h.reviews.Who(ctx, r)
	if err != nil && !errors.Is(err, ErrUnauthenticated) {
		err = fmt.Errorf("%w: %w", errReview, err)
	}
	return who, err
}

func (h *Handler) answer(ctx context.Context, a *answer, who authenticationv1.UserInfo, q *Question) error {
	if err := h.mayAsk(ctx, who, q); err != nil {
		return err
	}
	switch q.What {
	case Usage:
		found, err := h.maps.Usage(ctx, q.Key)
		if err != nil {
			return err
		}
		return json.NewEncoder(a).Encode(found)
	case Plan:
		return h.plan(ctx, a, who, q)
	}
	m, err := h.maps.Open(ctx, q)
	if err != nil {
		return err
	}
	err = h.mayRead(ctx, who, q, m.Owner())
	if err == nil {
		err = write(ctx, a, m, q)
	}
	return errors.Join(err, m.Close())
}

// write writes what is asked of a map.
func write(ctx context.Context, a *answer, m Map, q *Question) error {
	switch q.What {
	case Elements:
		return m.Elements(ctx, q, a)
	case Element:
		return m.Element(ctx, q, a)
	case Manifest:
		return m.Manifest(ctx, q, a)
	case Digest:
		found, err := m.Summary(ctx, q)
		if err != nil {
			return err
		}
		return json.NewEncoder(a).Encode(found)
	}
	return fmt.Errorf("%w: %s", errQuestion, q.What)
}

// plan answers from the revision that the node is to hold.
func (h *Handler) plan(ctx context.Context, a *answer, who authenticationv1.UserInfo, q *Question) error {
	rev, err := h.declared.Revision(ctx, q.Key)
	if err != nil {
		return err
	}
	// What the kernel holds may come from an earlier revision.
	if err := h.mayRead(ctx, who, q, Owner{Key: q.Key, Sensitive: rev.Sensitive}); err != nil {
		return err
	}
	m, err := h.maps.Open(ctx, q)
	switch {
	case errors.Is(err, ErrNotFound): // it would be made
	case err != nil:
		return err
	default:
		if err := errors.Join(h.mayRead(ctx, who, q, m.Owner()), m.Close()); err != nil {
			return err
		}
	}
	planned, err := h.maps.Plan(ctx, rev)
	if err != nil {
		return err
	}
	return json.NewEncoder(a).Encode(planned)
}

// IsManaged says whether an owner is a BPFMap.
func (o Owner) IsManaged() bool { return o.Key != revision.Key{} }
