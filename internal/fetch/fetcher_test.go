// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bpfmap-io/bpfmap-operator/test/await"
)

// versioned answers with a text, and 304 to those who have it.
func versioned(etag, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", etag)
		if r.Header.Get("If-None-Match") == etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		body(text)(w, r)
	}
}

func TestConditionalRequests(t *testing.T) {
	s := newSite(t, false)
	d := newDesk(t, nil, s)
	spec := web(s, "/drop.txt")
	s.set(versioned(`"1"`, goodText))
	first := d.good(spec, goodText)
	second := d.good(spec, goodText)
	if second.Meta != first.Meta || !second.Good.After(first.Good) {
		t.Errorf("after 304: %+v, before %+v", second, first)
	}
	asked := s.requests()
	if got := asked[0].Header.Get("If-None-Match"); got != "" || asked[0].Header.Get("User-Agent") != "bpfmap-controller/test" {
		t.Errorf("the first request asks for %q by %q", got, asked[0].Header.Get("User-Agent"))
	}
	if got := asked[1].Header.Get("If-None-Match"); got != `"1"` {
		t.Errorf("the second request asks for %q", got)
	}
	s.set(versioned(`"2"`, "new\n"))
	d.good(spec, "new\n")

	// The text is lost: the whole document is asked for, and 304 is no answer to that.
	state, err := d.State(spec.ID())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(d.spool.path(spec.ID(), "text"), 2); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Read(spec.ID(), state.Meta.Digest); err == nil {
		t.Fatal("half a text was read")
	}
	s.set(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) })
	if state := d.attempt(spec); !contains(state.Failure, "304") {
		t.Errorf("failure is %q", state.Failure)
	}
	s.set(versioned(`"2"`, "new\n"))
	d.good(spec, "new\n")
	asked = s.requests()
	if got := asked[len(asked)-1].Header.Get("If-None-Match"); got != "" {
		t.Errorf("the last request asks for %q", got)
	}
}

// TestRestart: the last good contents, and since when a fetch fails, survive the process with the folder.
func TestRestart(t *testing.T) {
	s := newSite(t, false)
	d := newDesk(t, nil, s)
	spec := web(s, "/drop.txt")
	d.good(spec, "192.0.2.0/24\n")
	s.set(http.NotFound)
	before := d.attempt(spec)
	for _, left := range []string{"raw-123", "new-" + spec.ID(), strings.Repeat("0", 64) + ".text", strings.Repeat("1", 64) + ".json"} {
		if err := os.WriteFile(filepath.Join(d.Dir, left), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	asked := len(s.requests())
	d.start(d.Client, d.Dir)
	d.Want(reader, []Spec{spec}, "")
	after, err := d.State(spec.ID())
	if err != nil {
		t.Fatal(err)
	}
	if after.Meta != before.Meta || !after.Good.Equal(before.Good) || !after.Since.Equal(before.Since) || after.Failure != before.Failure {
		t.Errorf("after the restart %+v, before %+v", after, before)
	}
	if got := d.text(spec); got != "192.0.2.0/24\n" {
		t.Errorf("text is %q", got)
	}
	if after.Next.Before(after.Tried.Add(time.Hour)) || len(s.requests()) != asked {
		t.Errorf("a restart fetches at once: next %s, tried %s, %d requests", after.Next, after.Tried, len(s.requests())-asked)
	}
	files, err := os.ReadDir(d.Dir)
	if err != nil || len(files) != 2 {
		t.Errorf("the folder holds %v, %v", files, err)
	}
	// Nobody wants it any more.
	d.Want(reader, nil, "")
	if files, err := os.ReadDir(d.Dir); err != nil || len(files) != 0 {
		t.Errorf("the folder holds %v, %v", files, err)
	}
}

// TestOneFetchForMany: a URL is fetched once for all who read it with the same rights, and once more for others.
func TestOneFetchForMany(t *testing.T) {
	s := newSite(t, false)
	s.set(func(w http.ResponseWriter, r *http.Request) {
		<-time.After(100 * time.Millisecond)
		body(goodText)(w, r)
	})
	d := newDesk(t, nil, s)
	for i := range 50 {
		spec := web(s, "/drop.txt")
		spec.Namespace = fmt.Sprintf("team-%d", i%5)
		spec.HTTP.Interval = metav1.Duration{Duration: time.Duration(i) * time.Minute}
		d.Want(types.NamespacedName{Namespace: spec.Namespace, Name: fmt.Sprint(i)}, []Spec{spec}, "")
	}
	names := <-d.changed
	if len(names) != 50 || len(s.requests()) != 1 {
		t.Errorf("%d readers are told, %d requests", len(names), len(s.requests()))
	}
}

// TestSlowHosts: a host that doesn't answer keeps others from nothing, nor does a namespace with many of them.
func TestSlowHosts(t *testing.T) {
	slow := []*site{newSite(t, false), newSite(t, false), newSite(t, false)}
	for _, s := range slow {
		s.set(drip)
	}
	quick := newSite(t, false)
	d := newDesk(t, nil, append(slow, quick)...)
	for i, s := range slow {
		for j := range 10 {
			spec := web(s, fmt.Sprintf("/%d", j))
			spec.Namespace = "greedy"
			d.Want(types.NamespacedName{Namespace: "greedy", Name: fmt.Sprint(i, j)}, []Spec{spec}, "")
		}
	}
	await.Nil(t, 30*time.Second, func() error {
		if n := len(slow[0].requests()) + len(slow[1].requests()) + len(slow[2].requests()); n != maxPerNamespace {
			return fmt.Errorf("%d requests of one namespace", n)
		}
		return nil
	})
	d.good(web(quick, "/drop.txt"), "192.0.2.0/24\n")
	if n := len(slow[0].requests()) + len(slow[1].requests()) + len(slow[2].requests()); n != maxPerNamespace {
		t.Errorf("%d requests of one namespace at the same time", n)
	}
}

func TestSchedule(t *testing.T) {
	s := schedule{time.Minute, func(d time.Duration) time.Duration { return d }} // always all of it
	for interval, want := range map[time.Duration]time.Duration{time.Second: 66 * time.Second, time.Hour: 66 * time.Minute} {
		if got := s.afterSuccess(interval); got != want {
			t.Errorf("after a success with interval %s: %s, want %s", interval, got, want)
		}
	}
	s.spread = func(time.Duration) time.Duration { return 0 }
	for _, c := range []struct {
		interval time.Duration
		failures int
		err      error
		want     time.Duration
	}{
		{time.Hour, 1, nil, time.Minute},
		{time.Hour, 3, nil, 4 * time.Minute},
		{time.Hour, 1 << 30, nil, time.Hour},
		{24 * time.Hour, 100, nil, time.Hour},
		{time.Minute, 100, nil, 10 * time.Minute},
		{time.Hour, 1, &StatusError{Code: 503, RetryAfter: 5 * time.Minute}, 5 * time.Minute},
		{time.Hour, 1, &StatusError{Code: 429, RetryAfter: time.Second}, time.Minute},
		{time.Hour, 1, &StatusError{Code: 429, RetryAfter: 1000 * time.Hour}, 6 * time.Hour},
	} {
		if got := s.afterFailure(c.interval, c.failures, c.err); got != c.want {
			t.Errorf("after %d failures with interval %s and %v: %s, want %s", c.failures, c.interval, c.err, got, c.want)
		}
	}
}

// TestHammering: failures, requests of people and restarts lead to few requests.
func TestHammering(t *testing.T) {
	s := newSite(t, false)
	s.set(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7200")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	d := newDesk(t, nil, s)
	spec := web(s, "/drop.txt")
	state := d.attempt(spec)
	if state.Next.Sub(state.Tried) < 2*time.Hour {
		t.Errorf("tried %s, next %s: the server asks for two hours", state.Tried, state.Next)
	}
	for i := range 100 {
		d.Want(reader, []Spec{spec}, fmt.Sprint("again ", i))
	}
	again, err := d.State(spec.ID())
	if err != nil {
		t.Fatal(err)
	}
	if n := len(s.requests()); n != 1 || again.Next.Before(state.Tried.Add(minRequested)) {
		t.Errorf("%d requests, the next one %s after the last", n, again.Next.Sub(state.Tried))
	}
}

func TestSpoolIsBounded(t *testing.T) {
	if _, _, err := openSpool(t.TempDir(), MinSpool-1); err == nil {
		t.Error("a folder that is too small is taken")
	}
	dir := t.TempDir()
	s, _, err := openSpool(dir, working+maxDocument)
	if err != nil {
		t.Fatal(err)
	}
	id := func(i int) string { return fmt.Sprintf("%064d", i) }
	for i := range 5 { // of a third of what there is room for
		if err := os.WriteFile(s.newText(id(i)), make([]byte, maxDocument/3), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.put(id(i), Record{Meta: Meta{TextBytes: maxDocument / 3}}); err != nil {
			t.Fatal(err)
		}
		_, _ = s.read(id(0), Meta{}) // it is used all the time
	}
	for i, want := range []bool{true, false, false, true, true} {
		if s.has(id(i)) != want {
			t.Errorf("text %d is there: %v, want %v", i, !want, want)
		}
	}
	again, records, err := openSpool(dir, working+maxDocument)
	if err != nil || len(records) != 3 || !again.has(id(4)) {
		t.Errorf("after a restart: %d records, %v", len(records), err)
	}
}

// TestCanceled: a process that ends doesn't wait for a server, and tells nobody of a failure.
func TestCanceled(t *testing.T) {
	s := newSite(t, false)
	s.set(drip)
	d := newDesk(t, nil, s)
	f := New(Settings{Client: d.Client, Dir: t.TempDir(), MaxBytes: DefaultSpool, Changed: func([]types.NamespacedName) { t.Error("told") }, Log: func(err error) { t.Error(err) }})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	f.Want(reader, []Spec{web(s, "/x")}, "")
	await.Nil(t, 30*time.Second, func() error {
		if len(s.requests()) == 0 {
			return fmt.Errorf("nothing was asked for")
		}
		return nil
	})
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Error("it doesn't end")
	}
}
