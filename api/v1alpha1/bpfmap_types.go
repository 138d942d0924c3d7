// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// BPFMap declares an eBPF map and its contents: on every selected node the agent creates it, pins it,
// fills it, freezes it if requested, and keeps it as declared.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=bmap,categories={bpf,all}
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Entries",type=integer,JSONPath=`.status.entries`
// +kubebuilder:printcolumn:name="Max",type=integer,JSONPath=`.spec.maxEntries`
// +kubebuilder:printcolumn:name="Nodes",type=integer,JSONPath=`.status.nodes.desired`
// +kubebuilder:printcolumn:name="Updated",type=integer,JSONPath=`.status.nodes.updated`
// +kubebuilder:printcolumn:name="Ready",type=integer,JSONPath=`.status.nodes.ready`
// +kubebuilder:printcolumn:name="Frozen",type=boolean,JSONPath=`.status.frozen`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Pin",type=string,priority=1,JSONPath=`.status.pinPath`
// +kubebuilder:printcolumn:name="Revision",type=string,priority=1,JSONPath=`.status.currentRevision`
// +kubebuilder:printcolumn:name="Progs",type=string,priority=1,JSONPath=`.status.programs`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 200",message="metadata.name must be at most 200 characters, so that revision names fit"
// +kubebuilder:validation:XValidation:rule="(has(self.spec.replacePolicy) && self.spec.replacePolicy == 'Swap') || self.spec.type == oldSelf.spec.type || !has(oldSelf.status) || !has(oldSelf.status.updateRevision) || size(oldSelf.status.updateRevision) == 0",message="spec.type is immutable while replacePolicy is Never: nodes may have the map of the revision in status.updateRevision, and a map can't change its type in place (delete and create, or set replacePolicy: Swap)"
type BPFMap struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is what every object has.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the desired map.
	// +required
	Spec BPFMapSpec `json:"spec"`

	// status is the aggregate over all selected nodes. Only the controller writes it.
	// +optional
	Status BPFMapStatus `json:"status,omitempty"`
}

// BPFMapList is a list of BPFMap.
//
// +kubebuilder:object:root=true
type BPFMapList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []BPFMap `json:"items"`
}

// BPFMapSpec is a map's shape, contents and policies.
//
// +kubebuilder:validation:XValidation:rule="!(self.type in ${keyless}) || !has(self.key)",message="${keyless} have no key: leave out spec.key"
// +kubebuilder:validation:XValidation:rule="self.type in ${keyless} || self.type in ${defaultKey} || has(self.key)",message="spec.key is required for this type"
// +kubebuilder:validation:XValidation:rule="!(self.type in ${indexed}) || !has(self.key) || (has(self.key.type) && self.key.type in ['u32','be16','be32'] && !has(self.key.length) && !has(self.key.dimensions))",message="the key of this type is its index: leave out spec.key, or set {type: u32}, or {type: be16} or {type: be32} where programs index by a number in network order"
// +kubebuilder:validation:XValidation:rule="!(self.type in ${prefixKey}) || !has(self.key) || has(self.key.fields) || (has(self.key.type) && !has(self.key.length) && !has(self.key.dimensions) && (self.key.type in ['ipv4Prefix','ipv6Prefix','ipPrefix','hex'] || (has(self.key.prefix) && self.key.prefix)))",message="the key of ${prefixKey} must be {type: ipv4Prefix}, {type: ipv6Prefix}, {type: ipPrefix}, a type with prefix: true, fields of which the last has prefix: true, or {type: hex, size: 5…260} with the prefix length in the first 4 bytes"
// +kubebuilder:validation:XValidation:rule="self.type in ${prefixKey} || !has(self.key) || !((has(self.key.type) && self.key.type in ['ipv4Prefix','ipv6Prefix','ipPrefix']) || (has(self.key.prefix) && self.key.prefix))",message="prefixes as keys are only for ${prefixKey}: other types compare keys byte by byte"
// +kubebuilder:validation:XValidation:rule="!(self.type in ${needsValue}) || has(self.value)",message="spec.value is required for this type"
// +kubebuilder:validation:XValidation:rule="!(self.type in ${valueless}) || !has(self.value)",message="${valueless} have no values: leave out spec.value"
// +kubebuilder:validation:XValidation:rule="(self.type in ${mapOfMaps}) == has(self.inner)",message="spec.inner is needed for ${mapOfMaps}, and only there"
// +kubebuilder:validation:XValidation:rule="!has(self.hashFunctions) || self.type in ${hashFilter}",message="hashFunctions is only for ${hashFilter}"
// +kubebuilder:validation:XValidation:rule="!has(self.mapExtra) || self.type in ${extra}",message="mapExtra is only for ${extra}"
// +kubebuilder:validation:XValidation:rule="!has(self.mapExtra) || !(self.type in ${address}) || self.mapExtra % 4096 == 0",message="mapExtra of ${address} is an address: a multiple of the page size, 4096 or more"
// +kubebuilder:validation:XValidation:rule="!has(self.mapExtra) || !(self.type in ${sizeHint}) || !has(self.maxEntries) || (self.mapExtra <= 65535 && self.mapExtra <= self.maxEntries)",message="mapExtra of ${sizeHint} is a number of entries: at most 65535 and maxEntries"
// +kubebuilder:validation:XValidation:rule="self.type in ${unbounded} || has(self.maxEntries)",message="spec.maxEntries is required for this type"
// +kubebuilder:validation:XValidation:rule="!(self.type in ${unbounded}) || !has(self.maxEntries)",message="${unbounded} have no maxEntries: leave it out"
// +kubebuilder:validation:XValidation:rule="!(self.type in ${runtime}) || (!has(self.entries) && !has(self.entriesFrom))",message="elements of this type are created at run time, by programs and processes: entries and entriesFrom are not allowed"
// +kubebuilder:validation:XValidation:rule="!(self.type in ${consumed}) || !has(self.syncPolicy) || self.syncPolicy == 'Seed'",message="${consumed} can only be seeded: their contents can't be compared without consuming them (syncPolicy: Seed)"
// +kubebuilder:validation:XValidation:rule="!(self.type in ${unlistable}) || !has(self.syncPolicy) || self.syncPolicy != 'Mirror'",message="${unlistable} cannot be listed, so Mirror is not possible: set syncPolicy to Merge or Seed"
// +kubebuilder:validation:XValidation:rule="!(self.type in ${sizedInBytes}) || !has(self.maxEntries) || self.maxEntries in [4096,8192,16384,32768,65536,131072,262144,524288,1048576,2097152,4194304,8388608,16777216,33554432,67108864,134217728,268435456,536870912,1073741824,2147483648]",message="maxEntries of ${sizedInBytes} is a size in bytes: a power of two and a multiple of the page size, 4096 or more"
// +kubebuilder:validation:XValidation:rule="!(self.type in ${runtime}) || !has(self.syncPolicy) || self.syncPolicy == 'Seed'",message="elements of this type are created at run time, by programs and processes: syncPolicy must be Seed"
// +kubebuilder:validation:XValidation:rule="!has(self.value) || !has(self.value.type) || self.value.type != 'mapRef' || self.type in ${mapRef}",message="values of type mapRef are only for ${mapRef}"
// +kubebuilder:validation:XValidation:rule="!has(self.value) || !has(self.value.type) || self.value.type != 'progPin' || self.type in ${progPin}",message="values of type progPin are only for ${progPin} (in ${progBehind} it is the second field)"
// +kubebuilder:validation:XValidation:rule="!has(self.value) || !has(self.value.type) || self.value.type != 'cgroup' || self.type in ${cgroup}",message="values of type cgroup are only for ${cgroup}"
// +kubebuilder:validation:XValidation:rule="!has(self.value) || !has(self.value.fields) || !self.value.fields.exists(f, has(f.type) && f.type == 'spinLock') || self.type in ${spinLock}",message="values with a spinLock are only for ${spinLock}"
// +kubebuilder:validation:XValidation:rule="!has(self.freeze) || !self.freeze || !has(self.value) || !has(self.value.fields) || !self.value.fields.exists(f, has(f.type) && f.type == 'spinLock')",message="the kernel does not freeze a map whose values hold a spin lock"
// +kubebuilder:validation:XValidation:rule="!has(self.key) || (!has(self.key.owner) && (!has(self.key.fields) || !self.key.fields.exists(f, has(f.owner))))",message="keys can't be owned by programs: leave owner out"
// +kubebuilder:validation:XValidation:rule="!has(self.value) || !has(self.value.owner) || self.type in ${shared}",message="owner is only for values of ${shared}"
// +kubebuilder:validation:XValidation:rule="!has(self.metrics) || self.type in ${shared}",message="metrics are only for ${shared}, whose elements are keys and values that can be listed"
// +kubebuilder:validation:XValidation:rule="!has(self.metrics) || !has(self.metrics.labels) || !has(self.entriesFrom) || !self.entriesFrom.exists(e, has(e.secretRef))",message="metrics.labels would show keys of entries from a Secret to all who may read metrics: leave labels out"
// +kubebuilder:validation:XValidation:rule="!has(self.freeze) || !self.freeze || !has(self.value) || (!has(self.value.owner) && (!has(self.value.fields) || !self.value.fields.exists(f, has(f.owner))))",message="a map whose programs own a part of the values can't be frozen: its declared fields couldn't change any more"
// +kubebuilder:validation:XValidation:rule="!has(self.key) || !has(self.key.type) || !(self.key.type in ['mapRef','progPin','cgroup','spinLock'])",message="mapRef, progPin, cgroup and spinLock are for values"
// +kubebuilder:validation:XValidation:rule="!has(self.entries) || !has(self.maxEntries) || self.entries.size() <= self.maxEntries",messageExpression="'entries holds %d elements, more than maxEntries %d'.format([size(self.entries), self.maxEntries])"
// +kubebuilder:validation:XValidation:rule="!has(self.flags) || !('NoPrealloc' in self.flags) || self.type in ${flag.NoPrealloc}",message="flag NoPrealloc is only for ${flag.NoPrealloc}"
// +kubebuilder:validation:XValidation:rule="!has(self.flags) || !('NoCommonLRU' in self.flags) || self.type in ${flag.NoCommonLRU}",message="flag NoCommonLRU is only for ${flag.NoCommonLRU}"
// +kubebuilder:validation:XValidation:rule="!has(self.flags) || !('ZeroSeed' in self.flags) || self.type in ${flag.ZeroSeed}",message="flag ZeroSeed is only for ${flag.ZeroSeed}"
// +kubebuilder:validation:XValidation:rule="!has(self.flags) || !('Mmapable' in self.flags) || self.type in ${flag.Mmapable}",message="flag Mmapable is only for ${flag.Mmapable}"
// +kubebuilder:validation:XValidation:rule="!has(self.flags) || !('InnerMap' in self.flags) || self.type in ${flag.InnerMap}",message="flag InnerMap is only for ${flag.InnerMap}"
// +kubebuilder:validation:XValidation:rule="!has(self.flags) || !('StackBuildID' in self.flags) || self.type in ${flag.StackBuildID}",message="flag StackBuildID is only for ${flag.StackBuildID}"
// +kubebuilder:validation:XValidation:rule="!has(self.flags) || !('PreserveElems' in self.flags) || self.type in ${flag.PreserveElems}",message="flag PreserveElems is only for ${flag.PreserveElems}"
// +kubebuilder:validation:XValidation:rule="!has(self.flags) || !('Clone' in self.flags) || self.type in ${flag.Clone}",message="flag Clone is only for ${flag.Clone}"
// +kubebuilder:validation:XValidation:rule="!has(self.flags) || !('SegvOnFault' in self.flags) || self.type in ${flag.SegvOnFault}",message="flag SegvOnFault is only for ${flag.SegvOnFault}"
// +kubebuilder:validation:XValidation:rule="!has(self.flags) || !('NoUserConv' in self.flags) || self.type in ${flag.NoUserConv}",message="flag NoUserConv is only for ${flag.NoUserConv}"
// +kubebuilder:validation:XValidation:rule="!has(self.flags) || !('RBOverwrite' in self.flags) || self.type in ${flag.RBOverwrite}",message="flag RBOverwrite is only for ${flag.RBOverwrite}"
// +kubebuilder:validation:XValidation:rule="!has(self.flags) || !('RdOnlyProg' in self.flags && 'WrOnlyProg' in self.flags)",message="flags RdOnlyProg and WrOnlyProg exclude each other"
// +kubebuilder:validation:XValidation:rule="!has(self.numaNode) || !(self.type in ${perCPU})",message="numaNode is not allowed for per-CPU maps, which have memory on every NUMA node"
// +kubebuilder:validation:XValidation:rule="!has(self.flags) || !('NoCommonLRU' in self.flags) || !has(self.numaNode)",message="numaNode and flag NoCommonLRU exclude each other"
type BPFMapSpec struct {
	// type is the kernel's map type.
	// +required
	Type MapType `json:"type"`

	// key is the schema of a key, for example {type: ipv4} or {fields: [{name: port, type: be16}, {name: addr, type: ipv4}]}.
	// Types whose keys are indexes (u32) or always the same may leave it out; queues, filters, ring buffers and arenas
	// have none.
	// +optional
	Key *Schema `json:"key,omitempty"`

	// value is the schema of a value, for example {type: u64} or {fields: [{name: action, type: u8}, {name: rule, type: u32}]}.
	// For per-CPU maps it is the schema of one CPU's value. Types whose
	// values are always the same may leave it out: links (mapRef, progPin, cgroup, ifindex), a CPUMap's
	// {type: u32} (the queue's size), sockets and events. Ring buffers and arenas have none.
	// +optional
	Value Schema `json:"value,omitzero"`

	// inner is what the maps in a map of maps look like: the kernel takes only inner maps of the same
	// type, sizes and flags, and for an Array without the flag InnerMap the same maxEntries.
	// +optional
	Inner *InnerMap `json:"inner,omitempty"`

	// maxEntries is the map's capacity: in entries, for ring buffers in bytes (a power of two and a
	// multiple of the page size), for an Arena in pages. Changing it requires a new map, and therefore
	// replacePolicy: Swap. Storage types have none.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=4294967295
	MaxEntries int64 `json:"maxEntries,omitempty"`

	// hashFunctions is how many hash functions a BloomFilter has; 5, the kernel's choice, if not given.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=15
	HashFunctions int32 `json:"hashFunctions,omitempty"`

	// mapExtra is the kernel's map_extra. For an Arena it is the address at which processes map it, for example
	// 17592186044416 (0x100000000000): a multiple of the page size from which maxEntries pages end below the next
	// multiple of 4 GiB; the program's own definition of the map must have the same (map_extra in C), or loaders
	// refuse the pin. For an RHash it is for how many entries its table is made at first, at most 65535 and
	// maxEntries. Left to the kernel if not given. Changing it requires a new map.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=72057594037927935
	MapExtra int64 `json:"mapExtra,omitempty"`

	// exclusiveProgramHash makes the map that of one program (Linux 6.18): the kernel loads no program with another
	// hash that uses it. It is SHA-256 of the program's instructions as they are loaded, with zeros in place of the
	// file descriptors of maps, in 64 hexadecimal digits; its first 16 are the program's tag. User space, such as this operator, may still read and
	// write. The kernel doesn't tell of a map whose it is: one that somebody else made can't be adopted with it, and
	// changing it requires a new map.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	ExclusiveProgramHash string `json:"exclusiveProgramHash,omitempty"`

	// flags are the kernel's map flags. Those that the kernel demands for a type, such as NoPrealloc for
	// an LPMTrie, are always set, named or not.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	Flags []MapFlag `json:"flags,omitempty"`

	// numaNode places the map's memory on one NUMA node (BPF_F_NUMA_NODE).
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1023
	NUMANode *int32 `json:"numaNode,omitempty"`

	// entries are the declared contents, for example [{key: 192.0.2.1, value: {action: 1, rule: 7}}]. Two entries whose keys encode to the same bytes are an
	// error. For Queue and Stack they are pushed in this order.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=65536
	Entries []Entry `json:"entries,omitempty"`

	// entriesFrom are sources of further entries: ConfigMaps and Secrets of the same namespace. A
	// change of a source creates a new revision if the entries change; while a source is broken, the last
	// good revision stays.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	EntriesFrom []EntrySource `json:"entriesFrom,omitempty"`

	// conflictPolicy says what happens if a key is declared more than once, inline or by sources. Fail
	// if not given.
	// +optional
	ConflictPolicy ConflictPolicy `json:"conflictPolicy,omitempty"`

	// allowEmptySources accepts a source without entries. By default that is an error, since an empty
	// feed is more often broken than intended, and would empty the map.
	// +optional
	AllowEmptySources bool `json:"allowEmptySources,omitempty"`

	// syncPolicy says who owns the contents. Merge if not given, and Seed for Queue and Stack.
	// +optional
	SyncPolicy SyncPolicy `json:"syncPolicy,omitempty"`

	// driftPolicy says what happens when a node's map no longer holds what its revision says.
	// +optional
	// +kubebuilder:default=Repair
	DriftPolicy DriftPolicy `json:"driftPolicy,omitempty"`

	// freeze makes the map read-only for user space once it is filled (BPF_MAP_FREEZE, Linux 5.2).
	// It can't be undone: new contents for a frozen map require a new map, and therefore
	// replacePolicy: Swap. BPF programs may still write unless the map has the flag RdOnlyProg.
	// +optional
	Freeze bool `json:"freeze,omitempty"`

	// replacePolicy says whether a map that is incompatible with the spec may be replaced by a new
	// one.
	// +optional
	// +kubebuilder:default=Never
	ReplacePolicy ReplacePolicy `json:"replacePolicy,omitempty"`

	// pin is where and with which permissions the map is pinned.
	// +optional
	Pin *Pin `json:"pin,omitempty"`

	// adoptionPolicy says what happens if somebody else's map is at the pin: Never leaves it alone, and the map is
	// Stalled; Adopt takes it over with its id and contents, and others' elements stay; AdoptAndDiscard also lets
	// syncPolicy Mirror delete others' elements. Adopt if not given and the pin is in bpfmap/<namespace>/, Never
	// elsewhere. Maps that were taken over already stay so.
	// +optional
	AdoptionPolicy AdoptionPolicy `json:"adoptionPolicy,omitempty"`

	// group names what the map belongs to: BPFMaps of a namespace with the same group, at most 32, are the maps of one
	// program. Where one of them needs a new map (replacePolicy: Swap), a node makes the new maps of all that need one
	// before the first takes its pin, and leaves all as they are if one can't be replaced. Changes of their layouts
	// reach the nodes together. All have the same nodeSelector.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="group must be a DNS label: small letters, digits and '-', at most 63 characters, for example xdp-firewall"
	Group string `json:"group,omitempty"`

	// nodeSelector selects the nodes that get the map by their labels; all nodes if empty.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.size() <= 317 && self[k].size() <= 63)",message="label keys hold at most 317 characters and values 63"
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`

	// allowNoNodes lets a change of nodeSelector, or of the labels of nodes, remove the map from the last
	// node that has it. By default such a change is refused, since it is more often a mistake.
	// +optional
	AllowNoNodes bool `json:"allowNoNodes,omitempty"`

	// rollout is how a change reaches the nodes: by default to a quarter of them at a time.
	// +optional
	Rollout *Rollout `json:"rollout,omitempty"`

	// metrics are what of the map's contents every agent serves to Prometheus, such as counters that programs write. A
	// change reaches the nodes at once and makes no new revision.
	// +optional
	Metrics *MapMetrics `json:"metrics,omitempty"`

	// rollbackTo is the name of an earlier revision whose contents the map is to have instead of what
	// the rest of this spec says. revisionHistoryLimit bounds how far back it can reach.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	RollbackTo string `json:"rollbackTo,omitempty"`

	// revisionHistoryLimit is how many old revisions are kept; the controller's --revision-history-limit,
	// 5 by default, if not given.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	RevisionHistoryLimit *int32 `json:"revisionHistoryLimit,omitempty"`

	// deletionPolicy says what happens to the pinned maps when the BPFMap is deleted, or when a
	// node is no longer selected: Delete removes the pins; GiveBack takes out the declared keys, and leaves pin,
	// mode, owner and the elements of others; Retain leaves everything. GiveBack if not given and the map was taken
	// over from somebody else, Delete if it was made here; each node knows which it was.
	// +optional
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
}

// InnerMap is the shape of the maps in a map of maps.
//
// +kubebuilder:validation:XValidation:rule="!(self.type in ${notInner})",message="${notInner} can't be inner maps"
// +kubebuilder:validation:XValidation:rule="!(self.type in ${innerKeyless}) || !has(self.key)",message="${innerKeyless} have no key: leave out inner.key"
type InnerMap struct {
	// type is the inner maps' type. Not every type can be an inner map.
	// +required
	Type MapType `json:"type"`

	// key is the schema of the inner maps' keys, as spec.key.
	// +optional
	Key *Schema `json:"key,omitempty"`

	// value is the schema of the inner maps' values, as spec.value.
	// +optional
	Value Schema `json:"value,omitzero"`

	// maxEntries is the inner maps' capacity.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=4294967295
	MaxEntries int64 `json:"maxEntries"`

	// flags are the inner maps' flags.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	Flags []MapFlag `json:"flags,omitempty"`
}

// Entry is one declared element.
type Entry struct {
	// key is written as spec.key says: a number, a string, or an object of fields such as {port: 443, addr: 192.0.2.1}.
	// Queue and Stack entries have none.
	// +optional
	Key *apiextensionsv1.JSON `json:"key,omitempty"`

	// value is written as spec.value says, for example 7 or {action: 1, rule: 7}. In a per-CPU map every possible CPU gets it.
	// +optional
	Value *apiextensionsv1.JSON `json:"value,omitempty"`

	// values are the values of a per-CPU map's element CPU by CPU, one for each possible CPU of the
	// node. It excludes value.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4096
	Values []apiextensionsv1.JSON `json:"values,omitempty"`
}

// Pin is a place in the BPF file system and its permissions.
type Pin struct {
	// path is where the map is pinned, relative to the root of the node's BPF file system.
	// bpfmap/<namespace>/<name> if not given; another path only under prefixes that the
	// administrator allows for the namespace in the agents' configuration.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.matches('^[^/.]+(/[^/.]+)*$')",message="path must be relative to the BPF file system (not /sys/fs/bpf/…), without empty elements, and without '.', which the BPF file system reserves: agents allow bpfmap/<namespace>/… and what agent.allowedPinPrefixes adds; without a path it is bpfmap/<namespace>/<name>"
	// +kubebuilder:validation:XValidation:rule="self.matches('^[ -~]*$')",message="path must consist of printable ASCII characters"
	Path string `json:"path,omitempty"`

	// mode are the permission bits of the pin, in octal. If not given, 0600, and what it has at an adopted map.
	// +optional
	// +kubebuilder:validation:MaxLength=4
	// +kubebuilder:validation:Pattern=`^0?[0-7]{3}$`
	Mode string `json:"mode,omitempty"`

	// uid is the owner of the pin. If not given, 0, and what it has at an adopted map.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4294967294
	UID *int64 `json:"uid,omitempty"`

	// gid is the group of the pin. If not given, 0, and what it has at an adopted map.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4294967294
	GID *int64 `json:"gid,omitempty"`
}
