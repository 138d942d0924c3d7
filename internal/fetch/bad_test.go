// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

const goodText = "192.0.2.0/24\n198.51.100.0/24\n"

func gzipped(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, text)
	_ = z.Close()
	return b.String()
}

func zstandard(text string) string {
	z, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	return string(z.EncodeAll([]byte(text), nil))
}

func zipped(files ...string) string {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i, text := range files {
		w, err := z.Create(fmt.Sprintf("feed-%d.txt", i))
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(w, text)
	}
	_ = z.Close()
	return b.String()
}

// endless sends lines for ever, or until the client has had enough.
func endless(w http.ResponseWriter, _ *http.Request) {
	line := []byte(strings.Repeat("192.0.2.0/24\n", 1000))
	for {
		if _, err := w.Write(line); err != nil {
			return
		}
	}
}

// drip sends a byte, and another one only much later.
func drip(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, "1")
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}

// TestBadAnswers: whatever the server does, the last good contents stay, and why and since when is told.
func TestBadAnswers(t *testing.T) {
	elsewhere := newSite(t, false)
	bomb := strings.Repeat("0", 64<<20)
	cases := []struct {
		name   string
		answer http.HandlerFunc
		want   []string
		change func(*Client)
	}{
		{"error page with 200", body("\n<!DOCTYPE html><title>Down</title>"), []string{"HTML page"}, nil},
		{"error page, gzipped", body(gzipped("<html><body>Down")), []string{"HTML page"}, nil},
		{"500", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, []string{"500 Internal Server Error"}, nil},
		{"404", http.NotFound, []string{"404 Not Found"}, nil},
		{"204", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, []string{"204 No Content"}, nil},
		{"206", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusPartialContent)
			_, _ = io.WriteString(w, "1")
		}, []string{"206 Partial Content"}, nil},
		{"304 that wasn't asked for", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) }, []string{"304 Not Modified", "wasn't asked"}, nil},
		{"redirect to a host that is not allowed", http.RedirectHandler(elsewhere.URL+"/drop.txt", http.StatusFound).ServeHTTP, []string{"redirects", elsewhere.host(), "--allowed-source-hosts"}, nil},
		{"redirect to the metadata service", http.RedirectHandler("http://169.254.169.254/latest", http.StatusFound).ServeHTTP, []string{"redirects", "169.254.169.254 is not allowed"}, nil},
		{"redirect to another scheme", http.RedirectHandler("file:///etc/passwd", http.StatusFound).ServeHTTP, []string{"must be http or https"}, nil},
		{"redirects without end", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path+"x", http.StatusFound) }, []string{"more than 5 redirects"}, nil},
		{"endless body", endless, []string{"more than 2097152 bytes"}, nil},
		{"a feed of 2 GB", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(int64(2)<<30))
			_, _ = io.WriteString(w, "192.0.2.0/24\n")
		}, []string{"2147483648 bytes", "at most 2097152"}, nil},
		{"slow drip", drip, []string{"bytes in 300ms", "at least 32768"}, func(c *Client) { c.Limits.Window = 300 * time.Millisecond }},
		{"no answer", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, []string{"did not answer in time"}, func(c *Client) { c.Limits.Answer = 300 * time.Millisecond }},
		{"takes too long altogether", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, "192.0.2.0/24\n")
				w.(http.Flusher).Flush()
				<-time.After(10 * time.Millisecond)
			}
		}, []string{"longer than 500ms"}, func(c *Client) { c.Limits.Total = 500 * time.Millisecond }},
		{"cut off before the length that was told", hijack("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n192.0.2.0/24\n"), []string{"the connection ended before the document did"}, nil},
		{"cut off between chunks", hijack("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nd\r\n192.0.2.0/24\n\r\n"), []string{"the connection ended before the document did"}, nil},
		{"no length at all", hijack("HTTP/1.1 200 OK\r\n\r\n192.0.2.0/24\n"), []string{"neither the document's length nor its end"}, nil},
		{"two lengths", hijack("HTTP/1.1 200 OK\r\nContent-Length: 13\r\nContent-Length: 3\r\n\r\n192.0.2.0/24\n"), []string{"Content-Length"}, nil},
		{"no HTTP", hijack("SSH-2.0-OpenSSH_9.6\r\n"), []string{"malformed HTTP"}, nil},
		{"headers without end", hijack("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20)), []string{"exceed"}, nil},
		{"an encoding that was not asked for", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			_, _ = io.WriteString(w, "x")
		}, []string{"encoding \"br\""}, nil},
		{"gzip bomb", body(gzipped(bomb)), []string{"once it is decompressed"}, nil},
		{"zstd bomb", body(zstandard(bomb)), []string{"once it is decompressed"}, nil},
		{"zip bomb", body(zipped(bomb)), []string{"once it is decompressed"}, nil},
		{"gzip cut off", body(gzipped(strings.Repeat(goodText, 1000))[:40]), []string{"cut off"}, nil},
		{"gzip that is none", body("\x1f\x8bnothing"), []string{"not valid gzip"}, nil},
		{"zstd that is none", body("\x28\xb5\x2f\xfdnothing"), []string{"decompress"}, nil},
		{"zip of two files", body(zipped(goodText, goodText)), []string{"holds 2 files", "exactly one"}, nil},
		{"zip of none", body("PK\x03\x04nothing"), []string{"no directory"}, nil},
		{"connection refused", nil, []string{"connection refused"}, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, false)
			s.set(body(goodText))
			d := newDesk(t, c.change, s)
			spec := web(s, "/drop.txt")
			before := d.good(spec, goodText)
			if s.set(c.answer); c.answer == nil {
				s.Close()
			}
			for range 2 { // a second time it is no other, and since when stays
				state := d.attempt(spec)
				if !contains(state.Failure, c.want...) {
					t.Fatalf("failure is %q, want %q", state.Failure, c.want)
				}
				if state.Good != before.Good || state.Meta != before.Meta || d.text(spec) != goodText {
					t.Fatalf("the last good contents are %+v, want %+v", state, before)
				}
				if state.Since.Before(before.Good) || !state.Next.After(state.Tried) {
					t.Errorf("since %s, tried %s, next %s", state.Since, state.Tried, state.Next)
				}
				if before.Since = state.Since; state.Failures == 2 && state.Since.Equal(state.Tried) {
					t.Error("the second failure is told as the first")
				}
			}
			if c.answer == nil {
				return
			}
			s.set(body(goodText + "203.0.113.0/24\n"))
			if state := d.good(spec, goodText+"203.0.113.0/24\n"); !state.Since.IsZero() || state.Failures != 0 {
				t.Errorf("after it recovered: %+v", state)
			}
		})
	}
}

// TestNeverGood: a document that was never fetched has no contents, not empty ones.
func TestNeverGood(t *testing.T) {
	s := newSite(t, false)
	s.set(http.NotFound)
	d := newDesk(t, nil, s)
	spec := web(s, "/drop.txt")
	state := d.attempt(spec)
	if state.Ready() || !contains(state.Failure, "404") {
		t.Errorf("state is %+v", state)
	}
	if data, err := d.Read(spec.ID(), ""); err == nil {
		t.Errorf("there are contents: %q", data)
	}
}

func TestFormats(t *testing.T) {
	for name, text := range map[string]string{"plain": goodText, "gzip": gzipped(goodText), "zstd": zstandard(goodText), "zip": zipped(goodText), "empty": ""} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, false)
			s.set(body(text))
			d := newDesk(t, nil, s)
			want := goodText
			if text == "" {
				want = ""
			}
			state := d.good(web(s, "/feed"), want)
			if state.Meta.Digest != "sha256:"+digest(text) || state.Meta.Bytes != int64(len(text)) || state.Meta.TextBytes != int64(len(want)) {
				t.Errorf("meta is %+v", state.Meta)
			}
		})
	}
}

func TestChecksums(t *testing.T) {
	s := newSite(t, false)
	d := newDesk(t, nil, s)
	spec := web(s, "/lists/drop.txt")
	spec.HTTP.Checksum = &v1alpha1.SourceChecksum{URL: s.URL + "/lists/SHA256SUMS"}
	publish := func(text, sums string) {
		s.set(files(map[string]string{"/lists/drop.txt": text, "/lists/SHA256SUMS": sums}))
	}
	publish(goodText, digest("x")+"  other.txt\n"+digest(goodText)+" *drop.txt\n")
	first := d.good(spec, goodText)

	// What is the same by its checksum isn't transferred again.
	before := len(s.requests())
	d.good(spec, goodText)
	if asked := s.requests()[before:]; len(asked) != 1 || asked[0].URL.Path != "/lists/SHA256SUMS" {
		t.Errorf("asked for %v", asked)
	}
	publish("tampered\n", digest("new\n")+"\n")
	for sums, want := range map[string]string{
		digest("new\n") + "\n": "the checksum is sha256:" + digest("tampered\n"),
		"<html>":               "not of lines as sha256sum",
		"":                     "has 0 lines",
		digest("a") + "  a\n" + digest("b") + "  b\n": "none for drop.txt",
		strings.Repeat(digest("a")+"\n", 20000):       "more than 1048576 bytes",
	} {
		publish("tampered\n", sums)
		if state := d.attempt(spec); !contains(state.Failure, want) || d.text(spec) != goodText || state.Meta != first.Meta {
			t.Errorf("%.20q: failure is %q, want %q; %+v", sums, state.Failure, want, state.Meta)
		}
	}
	inline := web(s, "/lists/drop.txt")
	inline.HTTP.Checksum = &v1alpha1.SourceChecksum{SHA256: strings.ToUpper(digest("tampered\n"))}
	d.good(inline, "tampered\n")
}
