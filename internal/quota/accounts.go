// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package quota

import "github.com/bpfmap-io/bpfmap-operator/internal/revision"

// account is what one map takes, and what it was promised beyond that, in bytes. maps is 1, or how many maps were left in
// a namespace.
type account struct{ taken, promised, maps int64 }

// total sums up accounts.
type total struct{ account }

func (t total) sum() int64 { return t.taken + t.promised }

// accounts are the maps and their sums, which are kept with each change, so that asking for one doesn't
// cost as many steps as there are maps.
type accounts struct {
	maps       map[revision.Key]account
	namespaces map[string]total
	node       total
	// left are the ids of maps that were left, as they were measured last.
	left map[uint32]bool
}

func newAccounts() accounts {
	return accounts{maps: map[revision.Key]account{}, namespaces: map[string]total{}, left: map[uint32]bool{}}
}

// of is a map's account.
func (a *accounts) of(key revision.Key) account { return a.maps[key] }

// put replaces a map's account.
func (a *accounts) put(key revision.Key, to account) {
	a.drop(key)
	if key.Name != "" {
		to.maps = 1
	}
	a.maps[key] = to
	a.add(key, to, 1)
}

// promise replaces what a map is promised.
func (a *accounts) promise(key revision.Key, bytes int64) {
	a.put(key, account{taken: a.of(key).taken, promised: bytes})
}

// drop removes a map's account.
func (a *accounts) drop(key revision.Key) {
	if before, ok := a.maps[key]; ok {
		delete(a.maps, key)
		a.add(key, before, -1)
	}
}

// takeOver replaces what all maps take. Maps that are promised something stay.
func (a *accounts) takeOver(uses []Use) {
	before := a.maps
	*a = newAccounts()
	for key, m := range before {
		if m.promised > 0 {
			a.put(key, account{promised: m.promised})
		}
	}
	for _, u := range uses {
		m := a.of(u.Key)
		m.taken += u.Bytes
		if u.Left != 0 {
			m.maps++
			a.left[u.Left] = true
		}
		a.put(u.Key, m)
	}
}

func (a *accounts) add(key revision.Key, m account, sign int64) {
	namespace := a.namespaces[key.Namespace]
	for _, t := range []*total{&namespace, &a.node} {
		t.taken += sign * m.taken
		t.promised += sign * m.promised
		t.maps += sign * m.maps
	}
	if a.namespaces[key.Namespace] = namespace; namespace == (total{}) {
		delete(a.namespaces, key.Namespace)
	}
}
