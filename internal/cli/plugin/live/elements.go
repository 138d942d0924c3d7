// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/bpfmap-io/bpfmap-operator/internal/contents"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// maxElements and maxElementBytes bound the elements of a node that are kept to be compared.
const (
	maxElements     = 2_000_000
	maxElementBytes = 256 << 20
)

// elements are those of a map: values by keys, as JSON has them.
type elements map[string]string

// elements reads all elements of a node's map.
func (a *agent) elements(ctx context.Context, q *contents.Question) (elements, error) {
	reader, writer := io.Pipe()
	asked := make(chan error, 1)
	go func() {
		err := a.ask(ctx, q, writer)
		_ = writer.CloseWithError(err) // nil is the end
		asked <- err
	}()
	found, err := readElements(reader)
	_ = reader.CloseWithError(cmpErr(err)) // never fails
	if askErr := <-asked; askErr != nil && !errors.Is(askErr, errEnough) {
		return nil, askErr
	}
	return found, err
}

// errEnough ends an answer that isn't read on.
var errEnough = errors.New("the rest isn't needed")

func cmpErr(err error) error {
	if err == nil {
		return errEnough
	}
	return errors.Join(errEnough, err)
}

// readElements reads the document that dump -o json prints.
func readElements(r io.Reader) (elements, error) {
	d := json.NewDecoder(r)
	found, size := elements{}, 0
	for {
		token, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("read elements: %w", err)
		}
		if token == "elements" {
			break
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("read elements: %w", err)
	}
	for d.More() {
		var e struct {
			Key, Value, Values json.RawMessage
		}
		if err := d.Decode(&e); err != nil {
			return nil, fmt.Errorf("read elements: %w", err)
		}
		value := e.Value
		if value == nil {
			value = e.Values
		}
		found[string(e.Key)] = string(value)
		size += len(e.Key) + len(value)
		if len(found) > maxElements || size > maxElementBytes {
			return nil, fmt.Errorf("the map has more than %d elements or %d MiB of them: compare single keys (get)", maxElements, maxElementBytes>>20)
		}
	}
	_, err := io.Copy(io.Discard, io.MultiReader(d.Buffered(), r))
	return found, err
}

// changed is an entry whose value differs.
type changed struct {
	Key   json.RawMessage `json:"key"`
	Value json.RawMessage `json:"value"`
	// Was is the value that most nodes have.
	Was json.RawMessage `json:"was,omitempty"`
}

// differences are those of some elements from others.
type differences struct {
	Added   []changed `json:"added,omitempty"`
	Missing []changed `json:"missing,omitempty"`
	Changed []changed `json:"changed,omitempty"`
}

// differences are what other has otherwise, sorted by key.
func (base elements) differences(other elements) *differences {
	d := &differences{}
	for _, key := range slices.Sorted(maps.Keys(other)) {
		value := other[key]
		switch was, ok := base[key]; {
		case !ok:
			d.Added = append(d.Added, changed{Key: raw(key), Value: raw(value)})
		case was != value:
			d.Changed = append(d.Changed, changed{Key: raw(key), Value: raw(value), Was: raw(was)})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(base)) {
		if _, ok := other[key]; !ok {
			d.Missing = append(d.Missing, changed{Key: raw(key), Value: raw(base[key])})
		}
	}
	return d
}

func raw(s string) json.RawMessage {
	if s == "" {
		return json.RawMessage("null")
	}
	return json.RawMessage(s)
}

// write writes a line for each difference, up to limit.
func (d *differences) write(b *bytes.Buffer, limit int) {
	left := limit
	line := func(format string, args ...any) {
		if left--; left >= 0 {
			fmt.Fprintf(b, format, args...)
		}
	}
	for _, e := range d.Added {
		line("  + %s = %s\n", plain(e.Key), plain(e.Value))
	}
	for _, e := range d.Changed {
		line("  ~ %s: %s\n", plain(e.Key), changes(e.Was, e.Value))
	}
	for _, e := range d.Missing {
		line("  - %s = %s\n", plain(e.Key), plain(e.Value))
	}
	if left < 0 {
		fmt.Fprintf(b, "  … and %s (--limit)\n", text.Count(-left, "more difference", "more differences"))
	}
	if len(d.Added)+len(d.Changed)+len(d.Missing) == 0 {
		b.WriteString("  the same when the entries were read: the map changes\n")
	}
}
