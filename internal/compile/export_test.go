// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

// SetMaxEntriesBytes changes the bound and returns what puts it back.
func SetMaxEntriesBytes(n int64) func() {
	old := maxEntriesBytes
	maxEntriesBytes = n
	return func() { maxEntriesBytes = old }
}
