// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"context"
	"errors"

	"github.com/bpfmap-io/bpfmap-operator/internal/contents"
)

// maxAhead is how much of a node's answer is kept until it is the node's turn, in bytes; of inParallel nodes at most.
const maxAhead = 1 << 20

// errAhead ends an answer that is larger than maxAhead.
var errAhead = errors.New("too large to be read ahead")

// ahead is a node's answer that was read before its turn. One that is too large is asked for again then.
type ahead struct {
	bytes    []byte
	tooLarge bool
	failed   *failure
}

// inOrder prints the answers of nodes of any length, in the order of names. While one is printed, those of the next nodes
// are read. turn makes the writer of a node's answer.
func (c *cluster) inOrder(ctx context.Context, names []string, q *contents.Question, turn func(name string) *firstByte) (failed []failure) {
	if len(names) == 1 {
		if f := c.stream(ctx, names[0], q, turn(names[0])); f != nil {
			failed = append(failed, *f)
		}
		return failed
	}
	read, slots := make([]chan ahead, len(names)), make(chan struct{}, inParallel)
	for i := range read {
		read[i] = make(chan ahead, 1)
	}
	go func() {
		for i, name := range names {
			slots <- struct{}{}
			go func() { read[i] <- c.ahead(ctx, name, q) }()
		}
	}()
	for i, name := range names {
		answer := <-read[i]
		if f := c.print(ctx, name, q, answer, turn(name)); f != nil {
			failed = append(failed, *f)
		}
		<-slots
	}
	return failed
}

// ahead reads a node's answer.
func (c *cluster) ahead(ctx context.Context, name string, q *contents.Question) ahead {
	var kept limited
	f := c.stream(ctx, name, q, &firstByte{out: &kept})
	if f != nil && errors.Is(f.err, errAhead) {
		return ahead{tooLarge: true}
	}
	return ahead{bytes: kept, failed: f}
}

// print prints a node's answer at its turn.
func (c *cluster) print(ctx context.Context, name string, q *contents.Question, answer ahead, w *firstByte) *failure {
	if answer.tooLarge {
		return c.stream(ctx, name, q, w)
	}
	if len(answer.bytes) > 0 {
		if _, err := w.Write(answer.bytes); err != nil {
			return &failure{name, err.Error(), err}
		}
	}
	return answer.failed
}

// limited keeps what is written to it, up to maxAhead.
type limited []byte

// Write keeps a part.
func (l *limited) Write(p []byte) (int, error) {
	if len(*l)+len(p) > maxAhead {
		return 0, errAhead
	}
	*l = append(*l, p...)
	return len(p), nil
}
