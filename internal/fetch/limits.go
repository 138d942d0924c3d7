// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/internal/source"
)

// Limits bound one request.
type Limits struct {
	// Bytes bounds a document as it is sent, and its text once it is decompressed.
	Bytes int64
	// Connect bounds a connection and its TLS handshake, each; Answer the time until the headers of an answer.
	Connect, Answer time.Duration
	// Window is a time in which at least Least bytes of a body have to come.
	Window time.Duration
	Least  int64
	// Total bounds all requests for a document together.
	Total time.Duration
	// Archive bounds what is read of an artifact once it is decompressed, and Files how many entries it has.
	Archive int64
	Files   int
}

// DefaultLimits are those of the controller and of the command line.
func DefaultLimits() Limits {
	return Limits{
		Bytes: source.MaxBytes, Connect: 10 * time.Second, Answer: 30 * time.Second, Window: 30 * time.Second, Least: 32 << 10,
		Total: 10 * time.Minute, Archive: 1 << 30, Files: 200_000,
	}
}

// The bounds of what comes beside a document.
const (
	maxChecksumBytes  = 1 << 20
	maxSignatureBytes = 64 << 10
	maxRedirects      = 5
)

// paced counts what comes, so that slowness can be told.
type paced struct {
	from io.Reader
	read atomic.Int64
}

func (p *paced) Read(b []byte) (int, error) {
	n, err := p.from.Read(b)
	p.read.Add(int64(n))
	return n, err
}

// watch ends a transfer that is too slow. It returns when stop is closed.
func (p *paced) watch(stop <-chan struct{}, l Limits, end context.CancelCauseFunc) {
	tick := time.NewTicker(l.Window)
	defer tick.Stop()
	var before int64
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			now := p.read.Load()
			if now-before < l.Least {
				end(fmt.Errorf("the server sent %d bytes in %s, at least %d are needed", now-before, l.Window, l.Least))
				return
			}
			before = now
		}
	}
}

// tooLong is an error of a document that is longer than possible.
func tooLong(what string, most int64) error {
	return fmt.Errorf("%s has more than %d bytes, the most that are possible", what, most)
}

// copyUpTo copies at most that many bytes, and says if there are more.
func copyUpTo(to io.Writer, from io.Reader, most int64, what string) (int64, error) {
	n, err := io.Copy(to, io.LimitReader(from, most+1))
	if err == nil && n > most {
		err = tooLong(what, most)
	}
	return n, err
}
