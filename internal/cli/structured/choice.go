// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package structured

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// Choice is a flag that takes one of a few words.
type Choice struct {
	Value *string
	Words []string
	// Others are words that stand for one of Words, and aren't shown.
	Others map[string]string
	// Then is called after the value was set; nil for nothing.
	Then func()
}

// String is the current value.
func (c *Choice) String() string { return *c.Value }

// Set takes one of the words.
func (c *Choice) Set(s string) error {
	if other, ok := c.Others[s]; ok {
		s = other
	}
	if !slices.Contains(c.Words, s) {
		return fmt.Errorf("must be one of %s%s", strings.Join(c.Words, ", "), schema.Suggest(s, c.Words))
	}
	*c.Value = s
	if c.Then != nil {
		c.Then()
	}
	return nil
}

// Type is how the help shows the flag's value.
func (c *Choice) Type() string { return strings.Join(c.Words, "|") }
