// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import "github.com/bpfmap-io/bpfmap-operator/internal/plan"

// Outcome is what came of a plan.
type Outcome struct {
	// made is the new map, nil if none was made.
	made *openMap
	// record is the record as it was saved last, nil if it wasn't.
	record *Record
	// count is how many elements the map holds, as far as that follows from what was read and written.
	count plan.Count
	// way is the least exact way in which declared bits were written beside those of programs; empty if none were.
	way StoreWay
	// note is what people should know of a success.
	note string
	// err is why the plan was not carried out, or not to its end.
	err error

	// after is what the kernel shows in the end, see inspect.
	after after
}

// after is what the kernel shows of the map once everything is done.
type after struct {
	info MapInfo
	// entries is how many elements the map holds, nil if nobody can know.
	entries  *int64
	replaced []ReplacedMap
}

// close gives up the new map: it is pinned, or was never to be seen.
func (out *Outcome) close() {
	if out.made != nil {
		_ = out.made.Close()
	}
}
