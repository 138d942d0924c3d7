// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package contents

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// script is a node, a cluster and its reviews, as a test wants them. Real ones are asked in test/loop.
type script struct {
	mu       sync.Mutex
	asked    []string // the rights that were asked for
	denied   string
	reviewed error
	elements func(ctx context.Context, out io.Writer) error
	// fromSecret says that the map's contents are; declaredFromSecret that those of a revision are, which may be in it still.
	fromSecret, declaredFromSecret bool
}

func (s *script) Who(_ context.Context, r *http.Request) (authenticationv1.UserInfo, error) {
	return authenticationv1.UserInfo{Username: r.Header.Get("Authorization")}, s.reviewed
}

func (s *script) May(_ context.Context, _ authenticationv1.UserInfo, right authorizationv1.ResourceAttributes) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := describeRight(right)
	s.asked = append(s.asked, text)
	return s.denied == "" || !strings.Contains(text, s.denied), nil
}

func (*script) Revision(context.Context, revision.Key) (*revision.Revision, error) {
	return nil, ErrNotFound
}
func (s *script) Sensitive(context.Context, revision.Key) (bool, error) {
	return s.declaredFromSecret, nil
}
func (s *script) Open(context.Context, *Question) (Map, error)             { return s, nil }
func (*script) Usage(context.Context, revision.Key) ([]MapUsage, error)    { return nil, nil }
func (*script) Plan(context.Context, *revision.Revision) (*Planned, error) { return nil, nil }
func (s *script) Owner() Owner                                             { return Owner{Key: blocklist, Sensitive: s.fromSecret} }
func (s *script) Elements(ctx context.Context, _ *Question, out io.Writer) error {
	return s.elements(ctx, out)
}
func (*script) Element(context.Context, *Question, io.Writer) error  { return nil }
func (*script) Summary(context.Context, *Question) (*Summary, error) { return &Summary{}, nil }
func (*script) Manifest(context.Context, *Question, io.Writer) error { return nil }
func (*script) Close() error                                         { return nil }

// server serves a script over HTTP.
func server(t *testing.T, s *script) (ask func(user string) (*http.Response, string, error)) {
	t.Helper()
	h := httptest.NewServer(NewHandler("node-a", s, s, s, logr.Discard()))
	t.Cleanup(h.Close)
	q := Question{What: Elements, Key: blocklist, Format: "text"}
	return func(user string) (*http.Response, string, error) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.URL+q.URL(), nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", user)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		text, err := io.ReadAll(response.Body)
		return response, string(text), err
	}
}

func TestOutcome(t *testing.T) {
	s := &script{elements: func(_ context.Context, out io.Writer) error {
		_, err := io.WriteString(out, "1 = 2\n")
		return err
	}}
	ask := server(t, s)
	response, text, err := ask("jane")
	if err != nil || text != "1 = 2\n" || response.Trailer.Get(Outcome) != OutcomeComplete {
		t.Errorf("%q, %v, trailer %v", text, err, response.Trailer)
	}
	s.elements = func(_ context.Context, out io.Writer) error {
		_, _ = io.WriteString(out, "1 = 2\n")
		return errors.New("it changed:\n100% gone")
	}
	response, text, err = ask("jane")
	outcome, _ := url.QueryUnescape(response.Trailer.Get(Outcome))
	if err != nil || response.StatusCode != http.StatusOK || text != "1 = 2\n" || outcome != "it changed:\n100% gone" {
		t.Errorf("%d, %q, %v, outcome %q", response.StatusCode, text, err, outcome)
	}
	s.elements = func(context.Context, io.Writer) error { return fmt.Errorf("%w: a queue", ErrInvalid) }
	if response, text, _ = ask("jane"); response.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(text, "a queue") {
		t.Errorf("%d, %q", response.StatusCode, text)
	}
}

// TestTooLarge ends an answer at its bound, and says so.
func TestTooLarge(t *testing.T) {
	part := make([]byte, 1<<20)
	a := newAnswer(httptest.NewRecorder())
	a.sent = MaxAnswer - int64(len(part))
	if _, err := a.Write(part); err != nil {
		t.Errorf("the last part: %v", err)
	}
	if _, err := a.Write(part[:1]); !errors.Is(err, errTooLarge) || !strings.Contains(err.Error(), "512 MiB") {
		t.Errorf("a byte more: %v", err)
	}
}

// TestReviewsThatFail answer nothing, and tell a stranger nothing.
func TestReviewsThatFail(t *testing.T) {
	s := &script{reviewed: errors.New("connection refused")}
	ask := server(t, s)
	if response, text, _ := ask("jane"); response.StatusCode != http.StatusInternalServerError || !strings.Contains(text, "could not review") {
		t.Errorf("%d, %q", response.StatusCode, text)
	}
	s.reviewed = ErrUnauthenticated
	if response, _, _ := ask("jane"); response.StatusCode != http.StatusUnauthorized || len(s.asked) > 0 {
		t.Errorf("%d, rights were asked for: %v", response.StatusCode, s.asked)
	}
}

// TestRightsComeFirst: a map that may not be read isn't opened.
func TestRightsComeFirst(t *testing.T) {
	s := &script{denied: "bpfmaps/contents"}
	response, text, _ := server(t, s)("jane")
	if response.StatusCode != http.StatusForbidden || !strings.Contains(text, `user "jane" may not get bpfmaps/contents.bpfmap.io blocklist in namespace edge`) || len(s.asked) != 1 {
		t.Errorf("%d, %q, asked for %v", response.StatusCode, text, s.asked)
	}
}

// TestTooManyRequests fills the places of a user, and then those of the node.
// TestSecretsAreForThoseWhoMayReadThem: nothing of a map that holds a Secret's contents, or may, is sent to others.
func TestSecretsAreForThoseWhoMayReadThem(t *testing.T) {
	for name, s := range map[string]*script{"the map": {fromSecret: true}, "a revision": {declaredFromSecret: true}} {
		read := 0
		s.elements = func(context.Context, io.Writer) error { read++; return nil }
		s.denied = "secrets"
		if response, text, _ := server(t, s)("jane"); response.StatusCode != http.StatusForbidden || read > 0 || !strings.Contains(text, "may not get secrets of every name in namespace edge") {
			t.Errorf("%s: %d, %q, read %d times", name, response.StatusCode, text, read)
		}
		s.denied = ""
		if response, text, _ := server(t, s)("jane"); response.StatusCode != http.StatusOK || read != 1 {
			t.Errorf("%s: %d, %q, read %d times", name, response.StatusCode, text, read)
		}
	}
}

func TestTooManyRequests(t *testing.T) {
	release := make(chan struct{})
	begun := make(chan struct{})
	s := &script{elements: func(_ context.Context, out io.Writer) error {
		begun <- struct{}{}
		<-release
		_, err := io.WriteString(out, "x")
		return err
	}}
	ask := server(t, s)
	var running sync.WaitGroup
	for i := range MaxRequests {
		if i > 0 && i%MaxOfCaller == 0 {
			response, text, _ := ask(fmt.Sprintf("user-%d", i/MaxOfCaller-1))
			if response.StatusCode != http.StatusTooManyRequests || response.Header.Get("Retry-After") == "" || !strings.Contains(text, "4 questions of a user") {
				t.Errorf("one more of a user: %d, %q", response.StatusCode, text)
			}
		}
		running.Go(func() {
			if response, _, err := ask(fmt.Sprintf("user-%d", i/MaxOfCaller)); err != nil || response.StatusCode != http.StatusOK {
				t.Errorf("question %d: %d, %v", i, response.StatusCode, err)
			}
		})
		<-begun
	}
	if response, text, _ := ask("somebody else"); response.StatusCode != http.StatusTooManyRequests || !strings.Contains(text, "16 questions about contents") {
		t.Errorf("one more: %d, %q", response.StatusCode, text)
	}
	close(release)
	running.Wait()
	go func() { <-begun }()
	if response, _, _ := ask("user-0"); response.StatusCode != http.StatusOK {
		t.Errorf("after the others: %d", response.StatusCode)
	}
}
