// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// The pauses before a refused request is sent again: what the answer asks for or firstPause, up to twice of
// it with jitter, and twice as long after each further refusal, up to lastPause.
const (
	firstPause = time.Second
	lastPause  = 30 * time.Second
)

// Patient sends a request again that the API server's priority and fairness refused (429), until its context
// ends. client-go does so after exactly what Retry-After says, so that all nodes whose requests were refused
// together come back together, and gives up after ten times.
func Patient(next http.RoundTripper) http.RoundTripper {
	return patientTransport{next, firstPause, lastPause}
}

type patientTransport struct {
	next        http.RoundTripper
	first, last time.Duration
}

// RoundTrip returns every answer but 429, and that one if the body can't be sent a second time.
func (p patientTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	for longest := time.Duration(0); ; {
		answer, err := p.next.RoundTrip(r)
		if err != nil || answer.StatusCode != http.StatusTooManyRequests {
			return answer, err
		}
		again, ok := repeat(r)
		if !ok {
			return answer, nil
		}
		_ = answer.Body.Close()
		longest = min(max(p.asked(answer), 2*longest), p.last)
		pause := time.NewTimer(longest + rand.N(longest))
		select {
		case <-r.Context().Done():
			pause.Stop()
			return nil, r.Context().Err()
		case <-pause.C:
		}
		r = again
	}
}

// asked is how long an answer asks to wait.
func (p patientTransport) asked(answer *http.Response) time.Duration {
	if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil && seconds > 0 {
		return max(p.first, time.Duration(seconds)*time.Second)
	}
	return p.first
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
