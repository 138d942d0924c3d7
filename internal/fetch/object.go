// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"time"

	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
)

// Object is the last good contents of a document, as compile.Objects asks for them. The error says why there are none.
func (f *Fetcher) Object(s Spec) (compile.Object, error) {
	if err := f.Client.Check(s); err != nil {
		return nil, &compile.MissingError{Message: err.Error()}
	}
	id := s.ID()
	state, err := f.State(id)
	switch {
	case err != nil:
		return nil, &compile.PendingError{Message: err.Error()}
	case !state.Ready() && state.Failure != "":
		return nil, &compile.PendingError{Message: "could not be fetched since " + state.Since.UTC().Format(time.RFC3339) + ": " + state.Failure}
	case !state.Ready():
		return nil, &compile.PendingError{Message: "waits for the first fetch"}
	}
	return object{f, id, s.Name(), state.Meta}, nil
}

// object is what was fetched of one document.
type object struct {
	from     *Fetcher
	id, name string
	meta     Meta
}

func (o object) Name() string            { return o.name }
func (o object) Version() string         { return o.meta.Digest }
func (o object) Bytes() int64            { return o.meta.TextBytes }
func (o object) Keys() ([]string, error) { return []string{""}, nil }

// Data are the contents; they aren't there while they are fetched again because the cache had no room for them.
func (o object) Data() (map[string][]byte, error) {
	text, err := o.from.Read(o.id, o.meta.Digest)
	if err != nil {
		return nil, &compile.PendingError{Message: err.Error()}
	}
	return map[string][]byte{"": text}, nil
}
