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

// Form is how Entries writes.
type Form int

// The forms: "key = value", and the items of a list as a manifest has them.
const (
	Text Form = iota
	JSON
	YAML
)

// Entries writes the entries of a page, in a line each. It returns how many it wrote.
func Entries(out io.Writer, r *revision.Revision, page Page, form Form) (written int, err error) {
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
		switch form {
		case JSON:
			if written > 0 {
				line = append(line, ',')
			}
			line = entry(append(line, "\n  "...), &typing, &r.Contents, i)
		case YAML:
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
		if form != JSON {
			line = append(line, '\n')
		}
		if _, err := w.Write(line); err != nil {
			return written, fmt.Errorf("write entries: %w", err)
		}
		written++
	}
	if err := w.Flush(); err != nil {
		return written, fmt.Errorf("write entries: %w", err)
	}
	return written, nil
}
