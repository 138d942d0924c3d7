// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

// SetMaxBytes changes the bound of a text and returns what puts it back.
func SetMaxBytes(n int64) func() {
	old := maxBytes
	maxBytes = n
	return func() { maxBytes = old }
}
