// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

// SetMaxTextBytes changes the bound of all texts and returns what puts it back.
func SetMaxTextBytes(n int64) func() {
	old := maxTextBytes
	maxTextBytes = n
	return func() { maxTextBytes = old }
}

// Runs is how many runs the cache keeps, and their size.
func (c *Cache) Runs() (n int, bytes int64) {
	for _, runs := range c.maps {
		n += len(runs)
	}
	return n, c.bytes
}

// SetMaxEntriesBytes changes the bound and returns what puts it back.
func SetMaxEntriesBytes(n int64) func() {
	old := maxEntriesBytes
	maxEntriesBytes = n
	return func() { maxEntriesBytes = old }
}

// SetMaxSightings changes the bound and returns what puts it back.
func SetMaxSightings(n int) func() {
	old := maxSightings
	maxSightings = n
	return func() { maxSightings = old }
}
