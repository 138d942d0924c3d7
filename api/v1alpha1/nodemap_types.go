// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// NodeMapState is the state of one map on one node.
//
// +kubebuilder:validation:Enum=Ready;Pending;Failed;Stalled
type NodeMapState string

// The states of a map on a node.
const (
	// NodeMapReady: the kernel holds what the revision says.
	NodeMapReady NodeMapState = "Ready"
	// NodeMapPending: work is in progress or waiting for something.
	NodeMapPending NodeMapState = "Pending"
	// NodeMapFailed: an error that the agent keeps retrying.
	NodeMapFailed NodeMapState = "Failed"
	// NodeMapStalled: no progress is possible until somebody changes something.
	NodeMapStalled NodeMapState = "Stalled"
)

// MapOrigin is who made a map.
//
// +kubebuilder:validation:Enum=Created;Adopted
type MapOrigin string

// The origins of a map.
const (
	// OriginCreated: the map was made for its BPFMap.
	OriginCreated MapOrigin = "Created"
	// OriginAdopted: somebody else made the map, and it was taken over.
	OriginAdopted MapOrigin = "Adopted"
)

// SchemaVerification is whether the layout of key and value was compared with the map's BTF.
//
// +kubebuilder:validation:Enum=Verified;NotVerified;NoBTF
type SchemaVerification string

// The ways in which a schema is verified.
const (
	// SchemaVerified: the map's BTF fits, or the map was made from the schema.
	SchemaVerified SchemaVerification = "Verified"
	// SchemaNotVerified: the agent may not read BTF.
	SchemaNotVerified SchemaVerification = "NotVerified"
	// SchemaNoBTF: the map has no BTF of key and value.
	SchemaNoBTF SchemaVerification = "NoBTF"
)

// The reasons of a NodeMap.
const (
	// NodeReasonInSync: the map is as declared.
	NodeReasonInSync = "InSync"
	// NodeReasonDrifted: the map differs and driftPolicy is Report.
	NodeReasonDrifted = "Drifted"
	// NodeReasonIncompatible: the map at the pin is incompatible with the spec.
	NodeReasonIncompatible = "Incompatible"
	// NodeReasonSchemaMismatch: the map's BTF says that its programs lay key or value out otherwise than the spec; the
	// map is left alone. The message has both layouts.
	NodeReasonSchemaMismatch = "SchemaMismatch"
	// NodeReasonFrozen: the map is frozen and the declared contents changed.
	NodeReasonFrozen = "Frozen"
	// NodeReasonPinConflict: the pin belongs to another BPFMap, or holds something that is not a map.
	NodeReasonPinConflict = "PinConflict"
	// NodeReasonAdoptionNotAllowed: somebody else's map is at the pin and adoptionPolicy doesn't allow to take it over,
	// or not to delete what others put into it, which syncPolicy Mirror would do.
	NodeReasonAdoptionNotAllowed = "AdoptionNotAllowed"
	// NodeReasonPinNotAllowed: the agent's configuration doesn't allow this pin path.
	NodeReasonPinNotAllowed = "PinNotAllowed"
	// NodeReasonMapFull: the map is too small for the declared entries.
	NodeReasonMapFull = "MapFull"
	// NodeReasonNotPermitted: the agent lacks a capability or a file permission.
	NodeReasonNotPermitted = "NotPermitted"
	// NodeReasonNotSupported: the node's kernel doesn't support this map.
	NodeReasonNotSupported = "NotSupported"
	// NodeReasonMemlockLimit: the node's kernel, before Linux 5.11, charges maps to RLIMIT_MEMLOCK, and the map is
	// over it. The message names the limit and how to raise it.
	NodeReasonMemlockLimit = "MemlockLimit"
	// NodeReasonOutOfMemory: the kernel couldn't allocate memory for the map.
	NodeReasonOutOfMemory = "OutOfMemory"
	// NodeReasonQuotaExceeded: the map would exceed a limit of kernel memory or of maps: its namespace's,
	// the node's or the agent pod's. It is created as soon as there is room.
	NodeReasonQuotaExceeded = "QuotaExceeded"
	// NodeReasonInvalidRevision: the revision's contents don't match its digest or its shape.
	NodeReasonInvalidRevision = "InvalidRevision"
	// NodeReasonReferenceNotFound: an entry names something that isn't on the node yet.
	NodeReasonReferenceNotFound = "ReferenceNotFound"
	// NodeReasonInvalidReference: an entry names something of the wrong kind.
	NodeReasonInvalidReference = "InvalidReference"
	// NodeReasonWaitsForGroup: the map is to be replaced together with the others of its group, of which one isn't ready for
	// that yet.
	NodeReasonWaitsForGroup = "WaitsForGroup"
	// NodeReasonGroupStalled: the map is to be replaced together with the others of its group, of which one can't be as
	// declared.
	NodeReasonGroupStalled = "GroupStalled"
	// NodeReasonInterrupted: the work on the map was cut short, as when the agent stops, and is resumed later.
	NodeReasonInterrupted = "Interrupted"
	// NodeReasonNotWatched: the operator doesn't watch the map's namespace, and leaves the map as it is.
	NodeReasonNotWatched = "NotWatched"
	// NodeReasonNodeNotReady: the node's own condition Ready is False.
	NodeReasonNodeNotReady = "NodeNotReady"
	// NodeReasonSyncFailed: any other error.
	NodeReasonSyncFailed = "SyncFailed"
)

// NodeMap is one managed map on one node.
type NodeMap struct {
	// namespace is the BPFMap's namespace.
	// +required
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`

	// name is the BPFMap's name.
	// +required
	// +kubebuilder:validation:MaxLength=200
	Name string `json:"name"`

	// uid is the BPFMap's UID.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	UID string `json:"uid,omitempty"`

	// revision is the name of the revision that this state is about.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Revision string `json:"revision,omitempty"`

	// digest is the digest of the declared contents that the kernel was last seen to hold.
	// +optional
	// +kubebuilder:validation:MaxLength=71
	Digest string `json:"digest,omitempty"`

	// mapID is the map's id in this node's kernel.
	// +optional
	MapID int64 `json:"mapID,omitempty"`

	// pinPath is the map's pin, absolute on the node.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	PinPath string `json:"pinPath,omitempty"`

	// entries is how many entries the kernel holds; absent for types that can't be counted.
	// +optional
	Entries *int64 `json:"entries,omitempty"`

	// memlockBytes is the map's kernel memory.
	// +optional
	MemlockBytes int64 `json:"memlockBytes,omitempty"`

	// frozen says whether the map is read-only for user space.
	// +optional
	Frozen bool `json:"frozen,omitempty"`

	// state is the map's state.
	// +required
	State NodeMapState `json:"state"`

	// origin is who made the map: Created for a map that was made for this BPFMap, Adopted for one that somebody else
	// made; absent if that isn't known, as of maps that an earlier release managed.
	// +optional
	Origin MapOrigin `json:"origin,omitempty"`

	// schemaVerified says whether key and value are laid out as the map's programs have them: Verified if they were
	// compared with the map's BTF, or if the map was made from them; NotVerified if the agent may not read BTF, which
	// needs the capability SYS_ADMIN (agent.verifySchemas.enabled); NoBTF if the map has none. Absent if that was never
	// looked at, or if they don't fit.
	// +optional
	SchemaVerified SchemaVerification `json:"schemaVerified,omitempty"`

	// usage is whether programs use the map; absent before the agent has looked at it.
	// +optional
	Usage *MapUsage `json:"usage,omitempty"`

	// replacedMaps are maps whose pin this one took, the most recent first. Programs that still use them
	// see the old contents.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=4
	ReplacedMaps []ReplacedMap `json:"replacedMaps,omitempty"`

	// sharedValues tells how declared parts of values are written beside those that programs own; absent if programs own
	// none.
	// +optional
	SharedValues *SharedValues `json:"sharedValues,omitempty"`

	// drifted says whether the map differs from its revision and was not repaired.
	// +optional
	Drifted bool `json:"drifted,omitempty"`

	// driftedEntries are the first entries that were found to differ when drift was last found, repaired or not;
	// none if the contents come from a Secret.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=4
	DriftedEntries []DriftedEntry `json:"driftedEntries,omitempty"`

	// reason is a CamelCase word for the state.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Reason string `json:"reason,omitempty"`

	// message is human-readable.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`

	// metricsMessage is what the last reading for Prometheus couldn't serve of what spec.metrics of the BPFMap wants, and
	// why; absent if it served everything, and before the first one.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	MetricsMessage string `json:"metricsMessage,omitempty"`

	// driftCount is how many times drift was found since the agent first managed this map.
	// +optional
	DriftCount int64 `json:"driftCount,omitempty"`
}
