// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

const (
	// maxShown bounds the problems that an error spells out. All others are counted.
	maxShown = 10
	// maxCounted ends the compilation of entries that are all wrong.
	maxCounted = 1000
)

// Problem is one thing that is wrong.
type Problem struct {
	// Path is the place, for example "spec.entries[7].value.action".
	Path string
	// Message says what is wrong, with the value and the bound.
	Message string
}

// String is "spec.entries[7].value.action: 300 is out of range for u8 (0…255)".
func (p Problem) String() string { return p.Path + ": " + p.Message }

// Error is everything that is wrong with a BPFMap.
type Error struct {
	// Reason is the reason of the condition Accepted: InvalidSpec, InvalidEntry or TooLarge.
	Reason string
	// Problems are the first ones in the order of the spec, Total is how many there are.
	Problems []Problem
	Total    int
}

// Error lists the problems, separated by "; ".
func (e *Error) Error() string {
	parts := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		parts[i] = p.String()
	}
	s := strings.Join(parts, "; ")
	switch more := e.Total - len(e.Problems); {
	case e.Total >= maxCounted:
		s += fmt.Sprintf("; and at least %d more", more)
	case more > 0:
		s += fmt.Sprintf("; and %d more", more)
	}
	return s
}

type problems struct {
	reason string
	list   []Problem
	total  int
}

func (p *problems) add(path, format string, args ...any) {
	if p.total++; len(p.list) < maxShown {
		p.list = append(p.list, Problem{Path: path, Message: fmt.Sprintf(format, args...)})
	}
}

// addAll adds others.
func (p *problems) addAll(of *problems) {
	p.list = append(p.list, of.list[:min(len(of.list), max(0, maxShown-len(p.list)))]...)
	p.total += of.total
}

// addAt adds an error of package schema, whose path is relative to path.
func (p *problems) addAt(path string, err error) {
	var e *schema.Error
	if errors.As(err, &e) {
		p.add(path+e.Path, "%s", e.Message)
		return
	}
	p.add(path, "%v", err)
}

func (p *problems) err() error {
	if p.total == 0 {
		return nil
	}
	return &Error{Reason: p.reason, Problems: p.list, Total: p.total}
}
