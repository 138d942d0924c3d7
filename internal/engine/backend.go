// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"slices"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/footprint"
	"github.com/bpfmap-io/bpfmap-operator/internal/ownership"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Record is the ownership record of one map.
type Record = ownership.Record

// Backend is where maps live. A method that changes something other than the elements of a map is atomic: it
// happens or it doesn't, also when the process dies in it. Each does nothing, and returns the error of its
// context, if that has ended before. Errors may implement Reasoner.
type Backend interface {
	// Open shows what there is of a map: the one at pin (nil: don't look), the one behind our keep-alive
	// pin, and our record. What isn't there is nil in the State. The caller closes the maps.
	Open(ctx context.Context, key revision.Key, pin *revision.Pin) (*State, error)
	// Create makes the map of a revision. Nothing refers to it yet: it is gone if it is closed before
	// Publish.
	Create(ctx context.Context, rev *revision.Revision) (Map, error)
	// Resolve finds what a name in the entries of a map stands for on this node. The error is ErrAbsent if
	// that isn't there yet.
	Resolve(ctx context.Context, key revision.Key, ref v1alpha1.Reference) (Target, error)
	// Publish gives m its KeepAlive pin and its pin with mode and owner, in one step for programs that open
	// the pin. A map at the pin whose id is in replaces may give way; another one that isn't m stays, also
	// if it appears meanwhile, and is an error with the reason PinConflict that names its id.
	Publish(ctx context.Context, key revision.Key, m Map, pin revision.Pin, replaces ...uint32) error
	// Unpin removes the pin at path, relative to the file system, if one of the maps is there. It is not
	// an error if nothing or another map is.
	Unpin(ctx context.Context, key revision.Key, path string, maps ...uint32) error
	// SaveRecord replaces the record, claims its paths and maps for its BPFMap, and gives up what an
	// earlier record claimed. Bases of keys that it doesn't name are removed. The error's reason is
	// PinConflict if a record of another BPFMap claims a path or a map already. A KeyLog that IsDue is
	// refused: its keys are to be saved as a new base first.
	SaveRecord(ctx context.Context, r *Record) error
	// SaveKeys stores packed keys under a generation, which no record of the map names yet: a record
	// that does may be saved then. Without such a record the next SaveRecord removes them.
	SaveKeys(ctx context.Context, key revision.Key, generation uint64, keys []byte) error
	// Keys are the packed keys of a generation; those of generation 0 are none. The error is
	// ownership.ErrNoBase if they are missing or can't be believed.
	Keys(ctx context.Context, key revision.Key, generation uint64) ([]byte, error)
	// Owners are the other BPFMaps, not key, whose records claim a pin's path and a map: nil for none. An
	// empty path and the id 0 are nobody's. The cost doesn't depend on the number of maps.
	Owners(ctx context.Context, key revision.Key, pinPath string, mapID uint32) (ofPin, ofMap *revision.Key, err error)
	// Forget removes the record, the stored keys, the claims and the KeepAlive pin. It is not an error
	// if there are none.
	Forget(ctx context.Context, key revision.Key) error
	// Records lists the records that can be read, sorted by key.
	Records(ctx context.Context) ([]Record, error)
	// Users are the programs that use a map, for people. The error is ErrAbsent for a map that is gone,
	// and ErrUnknown if this process may not ask.
	Users(ctx context.Context, mapID uint32) ([]string, error)
	// PossibleCPUs is how many values an element of a per-CPU map has.
	PossibleCPUs() int
}

// ErrAbsent says that what a link names isn't on the node, and may come.
var ErrAbsent = errors.New("not found")

// ErrUnknown says that this process may not know.
var ErrUnknown = errors.New("not known")

// Target is what a link stands for on this node.
type Target struct {
	// Read is what the kernel shows in the link's place, Write what it takes there. They differ where it
	// takes a file descriptor and shows an id.
	Read, Write uint64
	// Shape is that of a map; nil for other targets.
	Shape *revision.Shape
	// Close ends the validity of Write; it may be nil.
	Close func() error
}

// State is what Backend.Open found.
type State struct {
	// Pinned is the map at the pin, KeepAlive the one behind our own pin.
	Pinned, KeepAlive Map
	Record            *Record
	// Found is the pin with its mode and owner as they are; zero if nothing is pinned there.
	Found revision.Pin
	// PinPath is the pin's absolute path.
	PinPath string
}

// Map is one open map. Values have ValueStride bytes: for per-CPU maps all CPUs' values, each rounded
// up to 8 bytes. A context that ends stops a call between two batches of elements; the call then returns the
// context's error.
type Map interface {
	// Info describes the map.
	Info(ctx context.Context) (MapInfo, error)
	// Read streams the elements in packed batches, which are valid during the call. complete says
	// that no element that was there all the time was missed. Keyless maps can't be read.
	Read(ctx context.Context, yield func(keys, values []byte)) (complete bool, err error)
	// Count is how many elements the map holds, if that can be told without reading them. It may be off
	// by what others are writing meanwhile.
	Count(ctx context.Context) (n int64, known bool)
	// Hash is the SHA-256 of a frozen Array's values in the order of their indexes, each padded with zeros to a multiple
	// of 8 bytes, if the kernel tells it (Linux 6.18).
	Hash(ctx context.Context) (sum [32]byte, known bool)
	// Write writes packed elements in their order: arrays set, queues and stacks push (keys nil). Keys of per-CPU maps
	// are distinct, and written in any order. After an error some of them may have been written.
	Write(ctx context.Context, keys, values []byte) error
	// Add writes packed elements whose keys aren't in the map yet, and leaves those that are as they are.
	// added is how many were written. Arrays, whose keys are always there, and keyless maps can't. After
	// an error some may have been written.
	Add(ctx context.Context, keys, values []byte) (added int, err error)
	// Store writes the bits of mask in the values of elements that are there, and leaves their other bits
	// to whoever writes them meanwhile. mask has as many bytes as one value; nil is all bits. Maps whose
	// values aren't read as they are written, and keyless maps, can't. After an error some may have been
	// written.
	Store(ctx context.Context, keys, values, mask []byte) (Stored, error)
	// Delete deletes packed keys; a missing key is not an error. Arrays can't. After an error some may
	// have been deleted.
	Delete(ctx context.Context, keys []byte) error
	// Contains asks a bloom filter, which may say yes wrongly. Other maps can't be asked.
	Contains(ctx context.Context, value []byte) (bool, error)
	// Fit compares the schemas of a revision with what the map tells of its key and value. What can't be compared is
	// no error.
	Fit(ctx context.Context, rev *revision.Revision) (plan.Fit, error)
	// Freeze makes the map read-only for user space. Freezing twice is not an error.
	Freeze(ctx context.Context) error
	// Reference is what Write takes for this map in a map of maps, as long as it is open.
	Reference() uint64
	// Locked is the map, read and written under the spin lock in each value.
	Locked() Map
	Close() error
}

// Stored tells how Map.Store wrote.
type Stored struct {
	// Missing is how many keys weren't there; they stay so.
	Missing int
	// Way is the least exact way that was needed; empty if nothing was written.
	Way StoreWay
	// Why says why it isn't a more exact one; nil if there is no reason to tell.
	Why error
}

// StoreWay is how declared bits are written beside bits of a program.
type StoreWay string

// The ways, the most exact one first.
const (
	// StoredByProgram: a program in the kernel stored only the declared bits.
	StoredByProgram StoreWay = "Program"
	// StoredUnderLock: under the value's spin lock, which others take, too.
	StoredUnderLock StoreWay = "Locked"
	// StoredByReadModifyWrite: whole values were read and written. What a program wrote between the two
	// is lost.
	StoredByReadModifyWrite StoreWay = "ReadModifyWrite"
)

// Worse is the less exact one of two ways.
func (w StoreWay) Worse(other StoreWay) StoreWay {
	if slices.Index(storeWays, other) > slices.Index(storeWays, w) {
		return other
	}
	return w
}

var storeWays = []StoreWay{"", StoredByProgram, StoredUnderLock, StoredByReadModifyWrite}

// MapInfo describes a map.
type MapInfo struct {
	ID           uint32
	Shape        revision.Shape
	Frozen       bool
	MemlockBytes int64 // as the kernel shows it
	// Measured says that MemlockBytes is what the map takes, as it is since Linux 6.4, and not what it could take.
	Measured bool
}

// Memory estimates how much kernel memory the map takes, in bytes, on a node with a number of possible CPUs.
func (i *MapInfo) Memory(cpus int) int64 {
	return footprint.Of(i.Shape, cpus).Charged(i.MemlockBytes, i.Measured)
}

// Reasoner is an error that knows its reason, one of those of v1alpha1.NodeMap.
type Reasoner interface {
	error
	Reason() string
}

// close closes the open maps.
func (s *State) close() {
	for _, m := range []Map{s.Pinned, s.KeepAlive} {
		if m != nil {
			_ = m.Close() // nothing was written through it that could be lost
		}
	}
}
