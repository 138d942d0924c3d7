// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pinstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Owners are the other BPFMaps, not key, whose records claim the pin at pinPath and the map: nil for none.
// What the index says is believed only if that record agrees.
func (s *Store) Owners(ctx context.Context, key revision.Key, pinPath string, mapID uint32) (ofPin, ofMap *revision.Key, err error) {
	owners, err := s.dir(path.Join(stateDir, ownersName))
	if errors.Is(err, fs.ErrNotExist) {
		if owners, err = s.missingIndex(ctx); owners == nil && err == nil {
			return nil, nil, nil
		}
	}
	if err != nil {
		return nil, nil, err
	}
	defer owners.Close() // nothing is written through it
	if pinPath != "" {
		if ofPin, err = s.claimant(owners, pinClaim(pinPath), key); err != nil {
			return nil, nil, err
		}
	}
	if mapID != 0 {
		ofMap, err = s.claimant(owners, mapClaim(mapID), key)
	}
	return ofPin, ofMap, err
}

// missingIndex builds the index that isn't there, if there is any state: an earlier release kept none.
func (s *Store) missingIndex(ctx context.Context) (*bpf.Dir, error) {
	all, err := s.dir(stateDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // no map was ever managed here
	}
	if err != nil {
		return nil, err
	}
	if err := errors.Join(all.Close(), s.withClaims(ctx, func(*bpf.Dir) error { return nil })); err != nil {
		return nil, err
	}
	return s.dir(path.Join(stateDir, ownersName))
}

// claimant is the BPFMap besides key that a claim belongs to, nil for none: a claim whose record is gone or
// speaks of something else is nobody's.
func (s *Store) claimant(owners *bpf.Dir, claim string, key revision.Key) (*revision.Key, error) {
	text, err := readClaim(owners, claim)
	if err != nil || text == "" || text == key.String() {
		return nil, err
	}
	namespace, name, _ := strings.Cut(text, "/")
	other := revision.Key{Namespace: namespace, Name: name}
	if isName := other.Check() == nil; !isName {
		return nil, nil
	}
	r, err := s.LoadRecord(other)
	if err != nil || r == nil || !slices.Contains(claimsOf(r), claim) {
		return nil, err
	}
	return &other, nil
}

// readClaim is a claim's text, empty if there is none.
func readClaim(owners *bpf.Dir, claim string) (string, error) {
	text, err := owners.Readlink(claim)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EINVAL) {
		return "", nil // EINVAL: something that is not a symbolic link
	}
	return text, err
}

// claim lets the index say that these claims are key's, and notes them in its state directory first, so that
// they are found when they are to be removed. Those of another BPFMap's record are ErrOccupied, and then
// nothing is written. The caller has withClaims.
func (s *Store) claim(owners, own *bpf.Dir, key revision.Key, noted, claims []string) error {
	var missing []string
	for _, claim := range claims {
		text, err := readClaim(owners, claim)
		if err != nil {
			return err
		}
		if text == key.String() && slices.Contains(noted, claim) {
			continue
		}
		other, err := s.claimant(owners, claim, key)
		switch {
		case err != nil:
			return err
		case other != nil && strings.HasPrefix(claim, prefixMapClaim):
			return fmt.Errorf("%w: map %s belongs to BPFMap %s", ErrOccupied, strings.TrimPrefix(claim, prefixMapClaim), other)
		case other != nil:
			return fmt.Errorf("%w: the pin path belongs to BPFMap %s", ErrOccupied, other)
		}
		missing = append(missing, claim)
	}
	for _, claim := range missing {
		for _, d := range []*bpf.Dir{own, owners} {
			if err := s.step("claim", func() error { return setLink(d, claim, key.String()) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// setLink makes a symbolic link in place of what a stale claim left there.
func setLink(d *bpf.Dir, name, text string) error {
	err := d.Symlink(name, text)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if have, err := d.Readlink(name); err == nil && have == text {
		return nil
	}
	if err := removeIfThere(d, name); err != nil {
		return err
	}
	return d.Symlink(name, text)
}

// disclaim removes those of the noted claims that aren't in keep: from the index if they are key's, and then
// the note. The caller has withClaims.
func (s *Store) disclaim(owners, own *bpf.Dir, key revision.Key, noted, keep []string) error {
	for _, claim := range noted {
		if !isClaim(claim) || slices.Contains(keep, claim) {
			continue
		}
		text, err := readClaim(owners, claim)
		if err != nil {
			return err
		}
		if text == key.String() {
			if err := s.step("remove claim", func() error { return removeIfThere(owners, claim) }); err != nil {
				return err
			}
		}
		if err := s.step("remove note of claim", func() error { return removeIfThere(own, claim) }); err != nil {
			return err
		}
	}
	return nil
}

// index opens the index of claims. If it isn't there, it is built from all records, which earlier releases
// kept without: aside, and then renamed, so that one that is there is whole. The caller has the lock.
func (s *Store) index() (*bpf.Dir, error) {
	owners, err := s.dir(path.Join(stateDir, ownersName))
	if !errors.Is(err, fs.ErrNotExist) {
		return owners, err
	}
	if err := s.buildIndex(); err != nil {
		return nil, fmt.Errorf("build the index of claims: %w", err)
	}
	return s.dir(path.Join(stateDir, ownersName))
}

func (s *Store) buildIndex() error {
	draft, err := s.makeDirs(path.Join(stateDir, ownersDraft), stateDirMode)
	if err != nil {
		return err
	}
	defer draft.Close() // a symbolic link is there once it is made
	records, err := s.Records()
	if err != nil {
		return err
	}
	for i := range records {
		r := &records[i]
		own, err := s.dir(state(r.Key, ""))
		if err != nil {
			return err
		}
		// Of two that claim the same, the first one has it.
		err = s.claim(draft, own, r.Key, nil, claimsOf(r))
		if errors.Is(err, ErrOccupied) {
			err = nil
		}
		if err := errors.Join(err, own.Close()); err != nil {
			return err
		}
	}
	all, err := s.dir(stateDir)
	if err != nil {
		return err
	}
	return errors.Join(s.step("rename index", func() error { return all.Rename(ownersDraft, all, ownersName, false) }), all.Close())
}
