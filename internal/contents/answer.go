// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package contents

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// Outcome is the trailer of an answer: OutcomeComplete, or else why what was sent isn't complete, escaped as in a query. An
// answer without it was cut off.
const (
	Outcome         = "Bpfmap-Outcome"
	OutcomeComplete = "complete"
)

// The bounds of an answer.
const (
	// MaxAnswer is how many bytes an answer has at most: a map of some million elements.
	MaxAnswer = 512 << 20
	// AnswerWithin is how long an answer takes at most, writeWithin how long who asked may take to read a part of it.
	AnswerWithin = 5 * time.Minute
	writeWithin  = 30 * time.Second
	// reviewWithin is how long the API server may take to say who somebody is, or what they may do.
	reviewWithin = 10 * time.Second
	// maxMessage is how long a message is, in bytes.
	maxMessage = 2048
)

// Errors by which an answer has its status.
var (
	// ErrUnauthenticated: it isn't known who asks. Nothing is said of what exists.
	ErrUnauthenticated = errors.New("unauthenticated")
	errForbidden       = errors.New("forbidden")
	errBusy            = errors.New("too many requests")
	errTooLarge        = fmt.Errorf("the answer is larger than the %d MiB that an agent sends: ask for single keys", MaxAnswer>>20)
	errReview          = errors.New("the API server could not review the request")
)

// answer is what is sent: with status 200 from the first byte on, and whether that was all of it at the end.
type answer struct {
	w       http.ResponseWriter
	control *http.ResponseController
	begun   bool
	sent    int64
}

func newAnswer(w http.ResponseWriter) *answer {
	w.Header().Set("Trailer", Outcome)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	return &answer{w: w, control: http.NewResponseController(w)}
}

// Write sends a part.
func (a *answer) Write(p []byte) (int, error) {
	if a.sent+int64(len(p)) > MaxAnswer {
		return 0, errTooLarge
	}
	a.begun = true
	_ = a.control.SetWriteDeadline(time.Now().Add(writeWithin)) // where it isn't supported, the connection's own holds
	n, err := a.w.Write(p)
	a.sent += int64(n)
	return n, err
}

// end sends the outcome: a status if nothing was sent before.
func (a *answer) end(err error) {
	if !a.begun && err != nil {
		a.w.Header().Del("Trailer")
		if errors.Is(err, errBusy) {
			a.w.Header().Set("Retry-After", "1")
		}
		http.Error(a.w, text.Truncate(err.Error(), maxMessage), statusOf(err))
		return
	}
	outcome := OutcomeComplete
	if err != nil {
		outcome = text.Truncate(url.QueryEscape(err.Error()), maxMessage)
	}
	a.w.Header().Set(Outcome, outcome)
}

// statusOf is the HTTP status of an error.
func statusOf(err error) int {
	for _, c := range []struct {
		is     error
		status int
	}{
		{ErrUnauthenticated, http.StatusUnauthorized},
		{errForbidden, http.StatusForbidden},
		{errBusy, http.StatusTooManyRequests},
		{ErrNotFound, http.StatusNotFound},
		{ErrInvalid, http.StatusUnprocessableEntity},
		{ErrUnavailable, http.StatusServiceUnavailable},
		{errQuestion, http.StatusBadRequest},
		{context.DeadlineExceeded, http.StatusGatewayTimeout},
	} {
		if errors.Is(err, c.is) {
			return c.status
		}
	}
	return http.StatusInternalServerError
}
