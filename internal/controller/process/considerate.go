// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The pauses before a refused request is sent again: what the answer asks for or firstPause, up to twice of
// it with jitter, and twice as long after each further refusal, up to lastPause.
const (
	firstPause = time.Second
	lastPause  = 30 * time.Second
)

// mostRefusals is after how many refusals the answer is passed on: after 10 minutes or more, in which what was to be
// written may have become old. Who asked then tries again by its own rate limiter.
const mostRefusals = 24

// Considerate is a transport for processes of which thousands run in a cluster.
//
// A request that the API server's priority and fairness refused (429) is sent again until its context ends, and mostRefusals times at most.
// client-go would do so after exactly what Retry-After says, so that all nodes whose requests were refused
// together came back together, and would give up after ten times.
//
// Events are sent one at a time. The recorder sends each by a goroutine of its own: all maps of a new node at
// once. The recorder drops an event at the first answer that is an error, and sends it again only where none came:
// an API server that starts, and doesn't know the roles yet, would lose what happened while it was away.
func Considerate(next http.RoundTripper) http.RoundTripper {
	return considerate{next, firstPause, lastPause, make(chan struct{}, 1)}
}

type considerate struct {
	next        http.RoundTripper
	first, last time.Duration
	events      chan struct{} // holds one while an event is being sent
}

// RoundTrip returns every answer but 429, and that one if the body can't be sent a second time, or after mostRefusals.
func (c considerate) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet && strings.Contains(r.URL.Path, "/events") {
		select {
		case c.events <- struct{}{}:
			defer func() { <-c.events }()
		case <-r.Context().Done():
			closeBody(r)
			return nil, r.Context().Err()
		}
		answer, err := c.untilTaken(r)
		if err == nil && mayPass(answer.StatusCode) {
			_ = answer.Body.Close()
			return nil, fmt.Errorf("the API server answers an event with %s", answer.Status)
		}
		return answer, err
	}
	return c.untilTaken(r)
}

// mayPass says of the status of an answer that a later one may be another: of a server that starts or ends.
func mayPass(code int) bool {
	return code == http.StatusUnauthorized || code == http.StatusForbidden || code >= http.StatusInternalServerError
}

func (c considerate) untilTaken(r *http.Request) (*http.Response, error) {
	longest := time.Duration(0)
	for refusals := 0; ; refusals++ {
		answer, err := c.next.RoundTrip(r)
		if err != nil || answer.StatusCode != http.StatusTooManyRequests || refusals == mostRefusals {
			return answer, err
		}
		again, ok := repeat(r)
		if !ok {
			return answer, nil
		}
		_ = answer.Body.Close()
		longest = min(max(c.asked(answer), 2*longest), c.last)
		pause := time.NewTimer(longest + rand.N(longest))
		select {
		case <-r.Context().Done():
			pause.Stop()
			closeBody(again)
			return nil, r.Context().Err()
		case <-pause.C:
		}
		r = again
	}
}

// asked is how long an answer asks to wait.
func (c considerate) asked(answer *http.Response) time.Duration {
	if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil && seconds > 0 {
		return max(c.first, time.Duration(seconds)*time.Second)
	}
	return c.first
}

// repeat is the same request with its body from the start.
func repeat(r *http.Request) (*http.Request, bool) {
	again := r.Clone(r.Context())
	if r.Body == nil || r.Body == http.NoBody {
		return again, true
	}
	if r.GetBody == nil {
		return nil, false
	}
	body, err := r.GetBody()
	if err != nil {
		return nil, false
	}
	again.Body = body
	return again, true
}

// closeBody does what a transport owes to a request that it doesn't send.
func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
}
