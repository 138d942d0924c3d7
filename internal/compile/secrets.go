// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
	"github.com/bpfmap-io/bpfmap-operator/internal/source"
)

// notShown ends what is said of a Secret's text.
const notShown = " (text of a Secret isn't shown)"

// hidden is what is said of a part of an entry from a Secret that isn't valid: its place, as far as the schema names it,
// and its type.
func hidden(l *schema.Layout, err error) (path, message string) {
	var e *schema.Error
	if errors.As(err, &e) {
		path, l = known(l, e.Path)
		if path == e.Path && strings.HasPrefix(e.Message, "is missing") { // the schema's words
			return path, e.Message
		}
	}
	if typ := l.Scalar(); typ != "" {
		return path, fmt.Sprintf("is not a valid %s%s", typ, notShown)
	}
	return path, "is not valid" + notShown
}

// known is the beginning of a path that a layout has, and what it has there: an entry may name anything.
func known(l *schema.Layout, path string) (string, *schema.Layout) {
	found := ""
	for strings.HasPrefix(path[len(found):], ".") {
		name, _, _ := strings.Cut(path[len(found)+1:], ".")
		name, _, _ = strings.Cut(name, "[")
		below := memberNamed(l, name)
		if below == nil {
			break
		}
		found, l = found+"."+name, below
	}
	return found, l
}

func memberNamed(l *schema.Layout, name string) *schema.Layout {
	for _, m := range l.Members() {
		if m.Name == name && name != "" {
			return m.Layout
		}
	}
	return nil
}

// unreadable is what is said of a text that can't be read.
func (p *sourcePacker) unreadable(err error) string {
	if !p.element.isSecret {
		return err.Error() + p.hintFor(err)
	}
	var e *source.Error
	if !errors.As(err, &e) || e.Line == 0 {
		return fmt.Sprintf("is not valid %s%s", p.from.Format, notShown)
	}
	at := *e
	at.Message = fmt.Sprintf("is not valid %s%s", p.from.Format, notShown)
	return at.Error()
}
