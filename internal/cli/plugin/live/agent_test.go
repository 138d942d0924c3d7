// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/contents"
)

// serve starts a server with a certificate of its own, and returns where it is.
func serve(t *testing.T, handle http.HandlerFunc) (*v1alpha1.ContentsEndpoint, Dial) {
	t.Helper()
	s := httptest.NewTLSServer(handle)
	t.Cleanup(s.Close)
	sum := sha256.Sum256(s.Certificate().Raw)
	dial := func(ctx context.Context, _ *v1alpha1.ContentsEndpoint) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", s.Listener.Addr().String())
	}
	return &v1alpha1.ContentsEndpoint{CertificateSHA256: hex.EncodeToString(sum[:])}, dial
}

var question = &contents.Question{What: contents.Usage}

// askOnce asks with a token.
func askOnce(t *testing.T, at *v1alpha1.ContentsEndpoint, dial Dial) (string, error) {
	t.Helper()
	a, err := newAgent("node-a", &rest.Config{Host: "https://api", BearerToken: "secret"}, at, dial)
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	var out strings.Builder
	err = a.ask(t.Context(), question, &out)
	return out.String(), err
}

// TestNothingIsSentToOthers: who has another certificate learns neither the token nor the question.
func TestNothingIsSentToOthers(t *testing.T) {
	var requests atomic.Int64
	var token atomic.Pointer[string]
	at, dial := serve(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		sent := r.Header.Get("Authorization")
		token.Store(&sent)
		w.Header().Set("Trailer", contents.Outcome)
		_, _ = io.WriteString(w, "[]")
		w.Header().Set(contents.Outcome, contents.OutcomeComplete)
	})
	if out, err := askOnce(t, at, dial); err != nil || out != "[]" || *token.Load() != "Bearer secret" {
		t.Fatalf("the agent itself: %q, %v, token %q", out, err, *token.Load())
	}
	before := requests.Load()
	for _, fingerprint := range []string{strings.Repeat("0", 64), "", strings.ToUpper(at.CertificateSHA256)} {
		out, err := askOnce(t, &v1alpha1.ContentsEndpoint{CertificateSHA256: fingerprint}, dial)
		if !errors.Is(err, errWrongCertificate) || out != "" || !isStale(err) {
			t.Errorf("with the fingerprint %q: %q, %v", fingerprint, out, err)
		}
	}
	if requests.Load() != before {
		t.Error("something was sent to who has another certificate")
	}
}

// TestStaleEndpoints are those that are looked for anew.
func TestStaleEndpoints(t *testing.T) {
	for text, want := range map[string]bool{
		`connect to pod s/p through the API server: unable to upgrade connection: pods "p" not found`:      true,
		`connect to pod s/p through the API server: pods "p" is forbidden: cannot create pods/portforward`: false,
		"no such map on this node: not found": false,
	} {
		if got := isStale(errors.New(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if isStale(nil) {
		t.Error("no error is one")
	}
}

// TestAnswersThatEndEarly aren't taken for complete ones.
func TestAnswersThatEndEarly(t *testing.T) {
	for name, c := range map[string]struct {
		handle http.HandlerFunc
		want   string
	}{
		"no trailer": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "x") }, "the answer was cut off"},
		"broken off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", contents.Outcome)
			_, _ = io.WriteString(w, "x")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, "the answer was cut off"},
		"with a reason": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", contents.Outcome)
			_, _ = io.WriteString(w, "x")
			w.Header().Set(contents.Outcome, url.QueryEscape("it changed: 100%"))
		}, "it changed: 100%"},
		"a refusal":        {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "user may not", http.StatusForbidden) }, "user may not"},
		"an empty refusal": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }, "the agent answers I'm a teapot"},
		"somewhere else": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere/", http.StatusFound)
		}, "agents don't do"},
		"an endless refusal": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "no"+strings.Repeat(" ", 10*maxRefused)+"more")
		}, "no"},
	} {
		at, dial := serve(t, c.handle)
		if _, err := askOnce(t, at, dial); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "more") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestDocumentsAreBounded: an agent that sends more than belongs into a document isn't kept in memory.
func TestDocumentsAreBounded(t *testing.T) {
	at, dial := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		part := make([]byte, 1<<20)
		for range maxDocument>>20 + 1 {
			if _, err := w.Write(part); err != nil {
				return
			}
		}
	})
	a, err := newAgent("node-a", &rest.Config{Host: "https://api"}, at, dial)
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	var into any
	if err := a.askJSON(t.Context(), question, &into); err == nil || !strings.Contains(err.Error(), "larger than 64 MiB") {
		t.Error(err)
	}
}

// TestEach asks many nodes, of which some fail or never answer, and names those.
func TestEach(t *testing.T) {
	at, dial := serve(t, func(http.ResponseWriter, *http.Request) {})
	c := &cluster{credentials: &rest.Config{Host: "https://api"}, dial: dial, agents: map[string]*agent{}}
	var names []string
	for i := range 100 {
		name := fmt.Sprintf("node-%02d", i)
		names = append(names, name)
		state := v1alpha1.BPFNodeState{}
		state.Name = name
		if i != 7 {
			state.Status.Contents = at
		}
		c.states = append(c.states, state)
	}
	var now, most atomic.Int64
	failed := c.eachFor(t.Context(), 200*time.Millisecond, names, func(ctx context.Context, a *agent) error {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		switch a.node {
		case "node-13":
			return errors.New("refused")
		case "node-42":
			<-ctx.Done()
			return context.Cause(ctx)
		}
		return nil
	})
	if most.Load() > inParallel {
		t.Errorf("%d nodes were asked at a time", most.Load())
	}
	got := map[string]string{}
	for _, f := range failed {
		got[f.Node] = f.Error
	}
	if len(got) != 3 || got["node-13"] != "refused" || !strings.Contains(got["node-42"], "no answer within 200ms") || !strings.Contains(got["node-07"], "agent.contents.enabled") {
		t.Errorf("failed: %v", got)
	}
}

// TestInOrder wants answers in the order of the nodes, whoever answers first: small ones that were read ahead, large ones that
// are asked for again, and what there is of those that failed; and no more read ahead than the bound.
func TestInOrder(t *testing.T) {
	var now, most, asked atomic.Int64
	large := strings.Repeat("x", maxAhead+1)
	at, dial := serve(t, func(w http.ResponseWriter, r *http.Request) {
		defer now.Add(-1)
		for n, m := now.Add(1), most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		asked.Add(1)
		w.Header().Set("Trailer", contents.Outcome)
		outcome, i := contents.OutcomeComplete, 0
		_, _ = fmt.Sscanf(r.Host, "node-%d", &i)
		time.Sleep(time.Duration(40-i) * time.Millisecond / 4) // the first ones last
		_, _ = io.WriteString(w, r.Host)
		switch i {
		case 3:
			_, _ = io.WriteString(w, large)
		case 7:
			outcome = "failed"
		}
		w.Header().Set(contents.Outcome, outcome)
	})
	c := &cluster{credentials: &rest.Config{Host: "https://api"}, dial: dial, timeout: time.Minute, agents: map[string]*agent{}}
	var names []string
	want := ""
	for i := range 40 {
		state := v1alpha1.BPFNodeState{}
		state.Name = fmt.Sprintf("node-%d", i)
		state.Status.Contents = at
		names, c.states = append(names, state.Name), append(c.states, state)
		want += "|" + state.Name
		if i == 3 {
			want += large
		}
	}
	defer c.close()
	var out strings.Builder
	failed := c.inOrder(t.Context(), names, question, func(string) *firstByte {
		return &firstByte{out: &out, before: func() { out.WriteByte('|') }}
	})
	if len(failed) != 1 || failed[0].Node != "node-7" || failed[0].Error != "failed" {
		t.Errorf("failed: %+v", failed)
	}
	if out.String() != want {
		t.Errorf("%d bytes, want %d: %.200s", out.Len(), len(want), out.String())
	}
	if asked.Load() != 41 || most.Load() > inParallel {
		t.Errorf("%d questions, want 41; %d at a time, want at most %d", asked.Load(), most.Load(), inParallel)
	}
}
