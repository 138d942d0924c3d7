// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pinstore

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"strconv"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/ownership"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// The directories of our own state. No namespace begins with '_'.
const (
	stateName = "_state"
	stateDir  = revision.PinRoot + "/" + stateName
	// ownersName is the index of claims in stateDir, ownersDraft the index while it is built.
	ownersName  = "_owners"
	ownersDraft = "_owners_new"
	// leftDir holds notes on maps that were made here and given up. It isn't in stateDir, in which earlier releases take
	// every name for that of a namespace.
	leftDir = revision.PinRoot + "/_left"
)

// The names in a map's state directory.
const (
	nameKeepAlive = "map"
	nameNext      = "next"       // a pin on its way to its place, or from there
	nameNote      = "exchange"   // where nameNext is going, as exchangeNote says
	nameRecord    = "record"     //
	nameDraft     = "record_new" // a record, before it takes the place of the former one
	prefixKeys    = "keys_"      // the declared keys of a generation
	nameKeysDraft = "keys_new"   // such keys, before they are complete
)

// Claims are symbolic links: in the index with the BPFMap's namespace and name as text, and by the same name
// in the map's state directory, so that those of a map can be found.
const (
	prefixPinClaim = "pin_"
	prefixMapClaim = "map_"
)

// state is the path, relative to the file system, of a map's state directory or a name in it.
func state(key revision.Key, name string) string {
	return path.Join(stateDir, strings.TrimPrefix(revision.DefaultPinPath(key), revision.PinRoot+"/"), name)
}

func pinClaim(pinPath string) string {
	sum := sha256.Sum256([]byte(pinPath))
	return prefixPinClaim + hex.EncodeToString(sum[:])
}

func mapClaim(id uint32) string { return prefixMapClaim + strconv.FormatUint(uint64(id), 10) }

// claimsOf are the names of all claims of a record.
func claimsOf(r *ownership.Record) []string {
	var names []string
	for _, p := range r.ClaimedPaths() {
		names = append(names, pinClaim(p))
	}
	for _, id := range r.ClaimedMaps() {
		names = append(names, mapClaim(id))
	}
	return names
}

func isClaim(name string) bool {
	return strings.HasPrefix(name, prefixPinClaim) || strings.HasPrefix(name, prefixMapClaim)
}

func keysName(generation uint64) string { return prefixKeys + strconv.FormatUint(generation, 10) }

// Part is what a pin in our own state is of its map.
type Part int

// The parts.
const (
	// PartNone: the pin is not in our own state.
	PartNone Part = iota
	// PartMap is the map itself, at its KeepAlive pin or on its way to a pin.
	PartMap
	// PartRecord is a map that holds the ownership record or declared keys.
	PartRecord
)

// StatePart says which part of which managed map a pin is; rel is its path relative to the BPF file system.
// The owner is namespace and name as they are in paths: every '.' is a '_'.
func StatePart(rel string) (owner string, part Part) {
	below, found := strings.CutPrefix(path.Clean(rel), stateDir+"/")
	parts := strings.Split(below, "/")
	if !found || len(parts) != 3 || parts[0] == ownersName || parts[0] == ownersDraft {
		return "", PartNone
	}
	owner = parts[0] + "/" + parts[1]
	switch name := parts[2]; {
	case name == nameRecord, name == nameDraft, strings.HasPrefix(name, prefixKeys):
		return owner, PartRecord
	}
	return owner, PartMap
}
