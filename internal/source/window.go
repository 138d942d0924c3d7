// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"io"
)

// window is a text that a decoder reads. It keeps what the decoder read and didn't use yet, to find
// positions in it, and bounds that: no entry is longer than MaxEntryBytes.
type window struct {
	from  io.Reader
	at    position // of text[0]
	base  int64    // the offset of text[0]
	text  []byte
	limit error // that the bound was passed
}

// readAhead bounds what a decoder reads at once, so that little of it is ahead of what it uses.
const readAhead = 4 << 10

// Read gives the decoder some more of the text.
func (w *window) Read(p []byte) (int, error) {
	if len(w.text) > MaxEntryBytes {
		w.limit = errorf(w.at.line, "an entry has more than %d bytes, the most that one may have", MaxEntryBytes)
		return 0, w.limit
	}
	n, err := w.from.Read(p[:min(len(p), readAhead)])
	w.text = append(w.text, p[:n]...)
	return n, err
}

// seek drops what is before an offset.
func (w *window) seek(offset int64) {
	n := min(int(offset-w.base), len(w.text))
	w.at = w.at.after(w.text[:n])
	w.text = append(w.text[:0], w.text[n:]...)
	w.base = offset
}
