// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// choice is a flag that takes one of a few words.
type choice struct {
	value   *string
	formats []string
	// others are words that stand for one of formats, and aren't shown.
	others map[string]string
	// then is called after the value was set; nil for nothing.
	then func()
}

// String is the current value.
func (c *choice) String() string { return *c.value }

// Set takes one of the words.
func (c *choice) Set(s string) error {
	if other, ok := c.others[s]; ok {
		s = other
	}
	if !slices.Contains(c.formats, s) {
		return fmt.Errorf("must be one of %s%s", strings.Join(c.formats, ", "), schema.Suggest(s, c.formats))
	}
	*c.value = s
	if c.then != nil {
		c.then()
	}
	return nil
}

// Type is how the help shows the flag's value.
func (c *choice) Type() string { return strings.Join(c.formats, "|") }
