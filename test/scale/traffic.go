// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
)

// Traffic is what one agent received from the API server. Bytes are those of the bodies, after the transport
// has decompressed them.
type Traffic struct {
	// RevisionEvents and RevisionBytes are of its watch of revisions, without bookmarks.
	RevisionEvents, RevisionBytes atomic.Int64
	// OtherEvents and OtherBytes are of its other watches: its Node and its BPFNodeState.
	OtherEvents, OtherBytes atomic.Int64
	// ChunkReads and ChunkBytes are of the chunks that it read.
	ChunkReads, ChunkBytes atomic.Int64
	// Requests are all that it sent, and Refused those that priority and fairness answered with 429.
	Requests, Refused atomic.Int64
}

// counting counts what passes through a transport.
type counting struct {
	next  http.RoundTripper
	count *Traffic
}

// RoundTrip counts the request and, as it is read, the body of the answer.
func (c counting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.count.Requests.Add(1)
	answer, err := c.next.RoundTrip(r)
	if err != nil {
		return answer, err
	}
	if answer.StatusCode == http.StatusTooManyRequests {
		c.count.Refused.Add(1)
	}
	switch watches, path := r.URL.Query().Has("watch"), r.URL.Path; {
	case watches && strings.HasSuffix(path, "/bpfmaprevisions"):
		answer.Body = &countedEvents{body: answer.Body, events: &c.count.RevisionEvents, bytes: &c.count.RevisionBytes}
	case watches:
		answer.Body = &countedEvents{body: answer.Body, events: &c.count.OtherEvents, bytes: &c.count.OtherBytes}
	case r.Method == http.MethodGet && strings.Contains(path, "/bpfmapchunks/") && answer.StatusCode == http.StatusOK:
		c.count.ChunkReads.Add(1)
		answer.Body = &countedBody{answer.Body, &c.count.ChunkBytes}
	}
	return answer, nil
}

type countedBody struct {
	io.ReadCloser
	bytes *atomic.Int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.bytes.Add(int64(n))
	return n, err
}

// countedEvents counts the lines of a watch's body, which are its events. A bookmark tells a client nothing
// but a resource version, and comes when the API server likes.
type countedEvents struct {
	body          io.ReadCloser
	events, bytes *atomic.Int64

	begin []byte // of the current line, as much as shows its kind
	size  int64  // of the current line so far
}

const lineBegin = len(`{"type":"BOOKMARK"`)

func (b *countedEvents) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	for rest := p[:n]; len(rest) > 0; {
		line, after, ended := bytes.Cut(rest, []byte("\n"))
		if want := lineBegin - len(b.begin); want > 0 {
			b.begin = append(b.begin, line[:min(want, len(line))]...)
		}
		b.size += int64(len(line))
		if ended {
			if !bytes.Contains(b.begin, []byte("BOOKMARK")) {
				b.events.Add(1)
				b.bytes.Add(b.size + 1)
			}
			b.begin, b.size = b.begin[:0], 0
		}
		rest = after
	}
	return n, err
}

func (b *countedEvents) Close() error { return b.body.Close() }
