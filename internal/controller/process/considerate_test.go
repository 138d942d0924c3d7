// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// busy refuses the first requests.
type busy struct {
	refuse int64
	bodies []string
	sent   atomic.Int64
}

func (b *busy) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		text, _ := io.ReadAll(r.Body)
		b.bodies = append(b.bodies, string(text))
	}
	w := httptest.NewRecorder()
	if b.sent.Add(1) <= b.refuse {
		w.WriteHeader(http.StatusTooManyRequests)
	}
	return w.Result(), nil
}

func quick(next http.RoundTripper) considerate {
	return considerate{next, time.Microsecond, time.Millisecond, make(chan struct{}, 1)}
}

func TestRefusedRequestsAreSentAgain(t *testing.T) {
	const times = 20 // client-go gives up after ten
	for _, method := range []string{http.MethodGet, http.MethodPut} {
		b := &busy{refuse: times}
		request, err := http.NewRequestWithContext(t.Context(), method, "http://api/state", strings.NewReader("state"))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := quick(b).RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK || b.sent.Load() != times+1 {
			t.Errorf("%s: status %d after %d requests", method, answer.StatusCode, b.sent.Load())
		}
		for _, body := range b.bodies {
			if body != "state" {
				t.Fatalf("%s: a body is %q", method, body)
			}
		}
	}
}

func TestRefusalsEndOnce(t *testing.T) {
	b := &busy{refuse: 1000}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://api/state", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := quick(b).RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusTooManyRequests || b.sent.Load() != mostRefusals+1 {
		t.Errorf("status %d after %d requests", answer.StatusCode, b.sent.Load())
	}
}

func TestRefusalsEndWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := &busy{refuse: 1 << 40}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://api/state", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	slow := quick(b)
	slow.first, slow.last = time.Hour, time.Hour
	time.AfterFunc(time.Millisecond, cancel)
	if _, err := slow.RoundTrip(request); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
}

// A body that can't be sent again isn't: the caller sees the refusal.
func TestRefusalIsTold(t *testing.T) {
	b := &busy{refuse: 1}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://api/state", io.NopCloser(strings.NewReader("once")))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := quick(b).RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusTooManyRequests || b.sent.Load() != 1 {
		t.Errorf("status %d after %d requests", answer.StatusCode, b.sent.Load())
	}
}

// answers is a transport that knows one status.
type answers int

func (a answers) RoundTrip(*http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	w.WriteHeader(int(a))
	return w.Result(), nil
}

// TestEventsOutliveAStart: what the recorder would take for the end of an event is no answer to it.
func TestEventsOutliveAStart(t *testing.T) {
	for code, again := range map[int]bool{201: false, 401: true, 403: true, 404: false, 409: false, 422: false, 500: true, 503: true} {
		for path, isEvent := range map[string]bool{"/apis/events.k8s.io/v1/namespaces/edge/events": true, "/apis/bpfmap.io/v1alpha1/bpfnodestates": false} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://api"+path, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			answer, err := quick(answers(code)).RoundTrip(request)
			if (err != nil) != (again && isEvent) {
				t.Errorf("%s, status %d: err = %v", path, code, err)
			}
			if err == nil {
				_ = answer.Body.Close()
			}
		}
	}
}

func TestJitterNeverComesEarly(t *testing.T) {
	c := considerate{first: time.Second}
	for header, want := range map[string]time.Duration{"": time.Second, "x": time.Second, "0": time.Second, "7": 7 * time.Second} {
		if got := c.asked(&http.Response{Header: http.Header{"Retry-After": {header}}}); got != want {
			t.Errorf("Retry-After %q asks for %s, want %s", header, got, want)
		}
	}
}

// crowd knows how many requests were under way at the same time.
type crowd struct{ now, most atomic.Int64 }

func (c *crowd) RoundTrip(*http.Request) (*http.Response, error) {
	now := c.now.Add(1)
	for most := c.most.Load(); now > most && !c.most.CompareAndSwap(most, now); most = c.most.Load() {
	}
	time.Sleep(time.Millisecond)
	c.now.Add(-1)
	return httptest.NewRecorder().Result(), nil
}

func TestEventsGoOneAtATime(t *testing.T) {
	for path, most := range map[string]int64{"/apis/events.k8s.io/v1/namespaces/edge/events": 1, "/apis/bpfmap.io/v1alpha1/bpfnodestates": 8} {
		c := &crowd{}
		through := quick(c)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://api"+path, strings.NewReader("{}"))
				if err != nil {
					t.Error(err)
					return
				}
				answer, err := through.RoundTrip(request)
				if err != nil {
					t.Error(err)
					return
				}
				_ = answer.Body.Close()
			})
		}
		all.Wait()
		if got := c.most.Load(); got > most {
			t.Errorf("%s: %d requests at a time, want %d at most", path, got, most)
		}
	}
}
