// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"fmt"
	"slices"
	"strings"
)

// choice is a flag that takes one of a few words.
type choice struct {
	value   *string
	formats []string
}

// String is the current value.
func (c *choice) String() string { return *c.value }

// Set takes one of the words.
func (c *choice) Set(s string) error {
	if !slices.Contains(c.formats, s) {
		return fmt.Errorf("must be one of %s", strings.Join(c.formats, ", "))
	}
	*c.value = s
	return nil
}

// Type is how the help shows the flag's value.
func (c *choice) Type() string { return strings.Join(c.formats, "|") }
