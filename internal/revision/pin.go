// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package revision

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// NewPinMode is the mode that the kernel gives a pin; its owner is root.
const NewPinMode fs.FileMode = 0o600

// PinStated says which fields of a Pin are given although they have the values of a new pin. Those with other
// values are given anyway.
type PinStated struct {
	Mode bool `json:",omitempty"`
	UID  bool `json:",omitempty"`
	GID  bool `json:",omitempty"`
}

func (s PinStated) fields() []v1alpha1.PinField {
	var all []v1alpha1.PinField
	for _, f := range []struct {
		stated bool
		name   v1alpha1.PinField
	}{{s.Mode, v1alpha1.PinMode}, {s.UID, v1alpha1.PinUID}, {s.GID, v1alpha1.PinGID}} {
		if f.stated {
			all = append(all, f.name)
		}
	}
	return all
}

func statedOf(fields []v1alpha1.PinField) PinStated {
	has := func(f v1alpha1.PinField) bool { return slices.Contains(fields, f) }
	return PinStated{Mode: has(v1alpha1.PinMode), UID: has(v1alpha1.PinUID), GID: has(v1alpha1.PinGID)}
}

// Over is p where it states something, and found elsewhere: the pin that a map of somebody else is to have.
func (p Pin) Over(found Pin) Pin {
	if p.Mode == NewPinMode && !p.Stated.Mode {
		p.Mode = found.Mode
	}
	if p.UID == 0 && !p.Stated.UID {
		p.UID = found.UID
	}
	if p.GID == 0 && !p.Stated.GID {
		p.GID = found.GID
	}
	return p
}

// SameOwner says whether mode and owner of two pins are the same.
func (p Pin) SameOwner(other Pin) bool {
	return p.Mode == other.Mode && p.UID == other.UID && p.GID == other.GID
}

// OwnerChanges says for people how mode and owner of p become those of another pin: "mode 0640 → 0666, gid 0 → 2000";
// empty if they don't change.
func (p Pin) OwnerChanges(to Pin) string {
	var parts []string
	if p.Mode != to.Mode {
		parts = append(parts, fmt.Sprintf("mode %04o → %04o", p.Mode, to.Mode))
	}
	if p.UID != to.UID {
		parts = append(parts, fmt.Sprintf("uid %d → %d", p.UID, to.UID))
	}
	if p.GID != to.GID {
		parts = append(parts, fmt.Sprintf("gid %d → %d", p.GID, to.GID))
	}
	return strings.Join(parts, ", ")
}

// OwnDirectory is where the maps of a BPFMap's namespace are pinned unless their specs say otherwise.
func (k Key) OwnDirectory() string { return path.Dir(DefaultPinPath(k)) }

// IsOwn says whether a pin path is in the directory of the BPFMap's namespace.
func (k Key) IsOwn(pinPath string) bool { return strings.HasPrefix(pinPath, k.OwnDirectory()+"/") }

// Adoption is the adoption policy with its default: maps in the namespace's own directory may be taken over.
func (r *Revision) Adoption() v1alpha1.AdoptionPolicy {
	switch {
	case r.Policy.Adoption != "":
		return r.Policy.Adoption
	case r.Key.IsOwn(r.Pin.Path):
		return v1alpha1.AdoptionAdopt
	}
	return v1alpha1.AdoptionNever
}

// Discards says whether elements that nobody declared are deleted from a map: Mirror does so, in one that somebody else
// made only if the adoption policy says so.
func (r *Revision) Discards(adopted bool) bool {
	return r.Policy.Sync == v1alpha1.SyncMirror && (!adopted || r.Adoption() == v1alpha1.AdoptionDiscard)
}
