// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package contents

import (
	"bufio"
	"fmt"
	"io"

	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Page is which entries are shown: Limit of them, 0 for all, after the first Offset, in the order of their keys.
type Page struct{ Limit, Offset int }

// Entries writes the entries of a page, in a line each: "key = value", or as a manifest has them. It returns how many it
// wrote.
func Entries(out io.Writer, r *revision.Revision, page Page, manifest bool) (written int, err error) {
	typing, err := TypingOf(r)
	if err != nil {
		return 0, err
	}
	w := bufio.NewWriter(out)
	var line []byte
	at := 0
	for i := range r.Contents.InOrder(r.Shape) {
		if at++; at <= page.Offset {
			continue
		}
		if page.Limit > 0 && written >= page.Limit {
			break
		}
		line = line[:0]
		switch {
		case manifest:
			line = entry(append(line, "- "...), &typing, &r.Contents, i)
		default:
			if typing.Key != nil {
				line = typing.Key.AppendText(line, r.Contents.Key(i))
				if r.Contents.ValueSize > 0 {
					line = append(line, " = "...)
				}
			}
			line = value(line, &typing, &r.Contents, i)
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return written, fmt.Errorf("write entries: %w", err)
		}
		written++
	}
	if err := w.Flush(); err != nil {
		return written, fmt.Errorf("write entries: %w", err)
	}
	return written, nil
}
