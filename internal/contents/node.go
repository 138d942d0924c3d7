// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package contents

import (
	"context"
	"errors"
	"io"

	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// What a Node and Declared say of maps that aren't there or can't be read.
var (
	// ErrNotFound: there is no such map on the node.
	ErrNotFound = errors.New("no such map on this node")
	// ErrInvalid: the question can't be answered about this map, whoever asks.
	ErrInvalid = errors.New("can't be answered")
	// ErrUnavailable: it can't be answered now.
	ErrUnavailable = errors.New("not now")
)

// Node reads the maps of one node. It is safe for concurrent use.
type Node interface {
	// Open opens the map of a BPFMap, or the one at a pin; of the question it reads nothing else.
	Open(ctx context.Context, q *Question) (Map, error)
	// Usage is how full managed maps are: of all namespaces, of one, or of one map.
	Usage(ctx context.Context, of revision.Key) ([]MapUsage, error)
	// Plan is what has to be changed to bring a map to a revision.
	Plan(ctx context.Context, rev *revision.Revision) (*Planned, error)
}

// Map is an open map. Errors after the first byte was written say that the output isn't complete.
type Map interface {
	// Owner says whose contents these are.
	Owner() Owner
	Elements(ctx context.Context, q *Question, out io.Writer) error
	Element(ctx context.Context, q *Question, out io.Writer) error
	Summary(ctx context.Context, q *Question) (*Summary, error)
	Manifest(ctx context.Context, q *Question, out io.Writer) error
	Close() error
}

// Owner is the BPFMap that a map belongs to, or did before it was given up.
type Owner struct {
	// Key is empty if the map isn't one that was managed.
	Key revision.Key
	// Sensitive says that contents come from a Secret, or may have.
	Sensitive bool
}

// Declared tells what is declared on a node.
type Declared interface {
	// Revision is the revision that the node is to hold of a BPFMap. The error is ErrNotFound for none.
	Revision(ctx context.Context, key revision.Key) (*revision.Revision, error)
	// Sensitive says whether contents of any revision that the node knows of a BPFMap come from a Secret.
	Sensitive(ctx context.Context, key revision.Key) (bool, error)
}

// Summary is what a map holds, in short.
type Summary struct {
	Node       string   `json:"node"`
	MapID      uint32   `json:"mapID"`
	Type       string   `json:"type"`
	KeySize    uint32   `json:"keySize"`
	ValueSize  uint32   `json:"valueSize"`
	MaxEntries uint32   `json:"maxEntries"`
	Flags      []string `json:"flags,omitempty"`
	Frozen     bool     `json:"frozen"`
	Pin        string   `json:"pin,omitempty"`
	// Revision is the name of the revision that was applied last; empty for a map that isn't managed.
	Revision string `json:"revision,omitempty"`
	// Entries is how many elements were read, Digest what AddElement made of them. Complete says that it surely is all of
	// them: a map can change while it is read.
	Entries  int    `json:"entries"`
	Digest   string `json:"digest"`
	Complete bool   `json:"complete"`
}

// Planned is what an agent would change to bring a map to its revision.
type Planned struct {
	Revision string `json:"revision"`
	// InSync says that there is nothing to do. Text is the plan, as the command diff prints it.
	InSync bool   `json:"inSync"`
	Text   string `json:"text"`
}

// MapUsage is how full a managed map is.
type MapUsage struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	MapID     uint32 `json:"mapID"`
	Type      string `json:"type"`
	// Entries is nil for types whose elements can't be counted. Exact says that the count is that of one moment.
	Entries      *int64 `json:"entries,omitempty"`
	Exact        bool   `json:"exact,omitempty"`
	MaxEntries   uint32 `json:"maxEntries"`
	MemlockBytes uint64 `json:"memlockBytes"`
	Frozen       bool   `json:"frozen,omitempty"`
	// Error is why nothing is known of the map.
	Error string `json:"error,omitempty"`
}
