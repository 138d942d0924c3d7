// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// MapUsageState is whether programs use a map.
//
// +kubebuilder:validation:Enum=Used;Unused;NeverUsed;Unknown
type MapUsageState string

// The states of usage.
const (
	// MapUsed: a loaded program uses the map, or another map holds it.
	MapUsed MapUsageState = "Used"
	// MapUnused: none does, though one did, or one still uses the map that was at the pin before.
	MapUnused MapUsageState = "Unused"
	// MapNeverUsed: none does, and none was seen to do so before.
	MapNeverUsed MapUsageState = "NeverUsed"
	// MapUsageUnknown: the agent couldn't tell.
	MapUsageUnknown MapUsageState = "Unknown"
)

// MaxMapPrograms bounds MapUsage.Programs and OtherMap.Programs, MaxOtherMaps bounds MapUsage.OtherMaps.
const (
	MaxMapPrograms = 8
	MaxOtherMaps   = 4
)

// MapUsage is whether programs use a map, as the agent's looks at all programs of the node say. A look needs the
// capability PERFMON (agent.usage.enabled) or SYS_ADMIN; without, the state is Unknown. A change is told once two
// looks agree on it, and those of a map that changes again and again at most once an hour. Processes that have the
// map open don't count.
type MapUsage struct {
	// state is Used if a loaded program uses the map, or another map holds it; Unused if none does, though one did, or
	// one still uses the map that was at the pin before; NeverUsed if none was seen to; Unknown if the agent couldn't
	// tell.
	// +required
	State MapUsageState `json:"state"`

	// since is when that was first seen to be so.
	// +optional
	Since metav1.Time `json:"since,omitzero"`

	// message says why the state is Unknown.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Message string `json:"message,omitempty"`

	// programCount is how many loaded programs use the map.
	// +optional
	ProgramCount int32 `json:"programCount,omitempty"`

	// programs are the first of them by id, at most 8.
	// +optional
	// +listType=map
	// +listMapKey=id
	// +kubebuilder:validation:MaxItems=8
	Programs []MapProgram `json:"programs,omitempty"`

	// heldByMaps is in how many places of maps of maps the map is. Whether programs use those is said of them.
	// +optional
	HeldByMaps int32 `json:"heldByMaps,omitempty"`

	// otherMaps are maps that programs use and that may stand for this one, at most 4.
	// +optional
	// +listType=map
	// +listMapKey=mapID
	// +kubebuilder:validation:MaxItems=4
	OtherMaps []OtherMap `json:"otherMaps,omitempty"`
}

// MapProgram is a loaded program that uses a map.
type MapProgram struct {
	// id is its id in the node's kernel.
	// +required
	ID int64 `json:"id"`
	// name is its function's, at most 15 characters; absent if it has none.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Name string `json:"name,omitempty"`
	// type is the kernel's program type, as bpftool prints it: xdp, sched_cls and so on.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Type string `json:"type,omitempty"`
	// tag is a digest of its instructions, as bpftool prints it.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Tag string `json:"tag,omitempty"`
}

// OtherMapKind says how a map is known.
//
// +kubebuilder:validation:Enum=Earlier;SameName
type OtherMapKind string

// The kinds of other maps.
const (
	// OtherMapEarlier: the map was at the pin before, and was replaced, or deleted and made again.
	OtherMapEarlier OtherMapKind = "Earlier"
	// OtherMapSameName: the map has the kernel's name of this one or that of its pin, its type and its sizes, and
	// belongs to no BPFMap. It may have nothing to do with this one.
	OtherMapSameName OtherMapKind = "SameName"
)

// OtherMap is another map that programs use.
type OtherMap struct {
	// mapID is its id in the node's kernel.
	// +required
	MapID int64 `json:"mapID"`

	// kind is Earlier for a map that was at the pin before; SameName for one that has this one's name, type and sizes
	// and is only looked for while no program uses this one: a loader may have pinned it elsewhere.
	// +required
	Kind OtherMapKind `json:"kind"`

	// programs are the programs that use it, the first 8 by id.
	// +optional
	// +listType=map
	// +listMapKey=id
	// +kubebuilder:validation:MaxItems=8
	Programs []MapProgram `json:"programs,omitempty"`
}

// ReplacedMap is a map whose pin another one took.
type ReplacedMap struct {
	// mapID is its id in the node's kernel.
	// +required
	MapID int64 `json:"mapID"`

	// users are the programs that still use it, at most 16. Finding them needs the capability PERFMON
	// (agent.usage.enabled) or SYS_ADMIN; without, usersKnown is false.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=128
	Users []string `json:"users,omitempty"`

	// usersKnown says whether the agent could ask for users.
	// +optional
	UsersKnown bool `json:"usersKnown,omitempty"`
}

// MaxReplacedUsers bounds ReplacedMap.Users.
const MaxReplacedUsers = 16
