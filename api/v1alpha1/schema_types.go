// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// MaxFieldDepth is how many levels of `fields` the CRDs describe. OpenAPI in CRDs knows no
// recursion, so the generated schema is the Go type written out this many times.
const MaxFieldDepth = 8

// ScalarType names how one key, value or field is written in YAML and laid out in memory.
//
// Integers are in the node's byte order (u8…u64, i8…i64) or in network order (be16, be32, be64).
// They accept decimal and 0x… notation as a number or a string, and are never truncated. `ipv4`, `ipv6`
// and `mac` are in network order. `ipv4Prefix` and `ipv6Prefix` are the kernel's LPM trie keys: a
// 32-bit prefix length in the node's order followed by the address. `string` is NUL-padded to
// `size`, `bytes` (base64) and `hex` are exactly `size` bytes.
//
// References are names that each node resolves when it writes: `ifindex` (4 bytes) is the index of a
// network interface by its name, `cgroupID` (8 bytes) the id of a cgroup by its path below the
// cgroup2 mount, as bpf_get_current_cgroup_id gives it. Only as values of the types that take them:
// `mapRef` is another BPFMap of the same namespace (ArrayOfMaps, HashOfMaps), `progPin` a program by
// its pin's path relative to the BPF file system (ProgArray, and beside the index in DevMap,
// DevMapHash and CPUMap, where an empty string means none), `cgroup` a cgroup by its path
// (CGroupArray). An entry whose reference isn't found is pending until it is.
//
// `spinLock` (4 bytes) is a struct bpf_spin_lock: the map is then written and read under the lock
// (BPF_F_LOCK), and entries leave the field out.
//
// +kubebuilder:validation:Enum=u8;u16;u32;u64;i8;i16;i32;i64;be16;be32;be64;bool;ipv4;ipv6;mac;ipv4Prefix;ipv6Prefix;string;bytes;hex;ifindex;mapRef;progPin;cgroup;cgroupID;spinLock;timer;workqueue;kptr
type ScalarType string

// The scalar types.
const (
	TypeU8         ScalarType = "u8"
	TypeU16        ScalarType = "u16"
	TypeU32        ScalarType = "u32"
	TypeU64        ScalarType = "u64"
	TypeI8         ScalarType = "i8"
	TypeI16        ScalarType = "i16"
	TypeI32        ScalarType = "i32"
	TypeI64        ScalarType = "i64"
	TypeBE16       ScalarType = "be16"
	TypeBE32       ScalarType = "be32"
	TypeBE64       ScalarType = "be64"
	TypeBool       ScalarType = "bool"
	TypeIPv4       ScalarType = "ipv4"
	TypeIPv6       ScalarType = "ipv6"
	TypeMAC        ScalarType = "mac"
	TypeIPv4Prefix ScalarType = "ipv4Prefix"
	TypeIPv6Prefix ScalarType = "ipv6Prefix"
	TypeString     ScalarType = "string"
	TypeBytes      ScalarType = "bytes"
	TypeHex        ScalarType = "hex"
	TypeIfindex    ScalarType = "ifindex"
	TypeMapRef     ScalarType = "mapRef"
	TypeProgPin    ScalarType = "progPin"
	TypeCgroup     ScalarType = "cgroup"
	TypeCgroupID   ScalarType = "cgroupID"
	TypeSpinLock   ScalarType = "spinLock"
	TypeTimer      ScalarType = "timer"
	TypeWorkqueue  ScalarType = "workqueue"
	TypeKptr       ScalarType = "kptr"
)

// Schema is the layout of a key or a value: one scalar (`type`), or a C struct (`fields`). Sizes
// follow from it. Nested fields follow the same rules as the outermost schema; for them the compiler
// checks what CEL's cost budget doesn't let the CRD check.
//
// +kubebuilder:validation:XValidation:rule="has(self.type) != has(self.fields)",message="exactly one of type and fields is needed"
// +kubebuilder:validation:XValidation:rule="has(self.size) == (has(self.type) && self.type in ['string','bytes','hex'])",message="size is needed for string, bytes and hex, and only there"
type Schema struct {
	// type is the scalar type. Exactly one of type and fields is given.
	// +optional
	Type ScalarType `json:"type,omitempty"`

	// size is the length in bytes of a string, bytes or hex; other types have a fixed size.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1048576
	Size int32 `json:"size,omitempty"`

	// length makes an array of that many elements, as in C's `__u16 ports[8]`: the YAML value is
	// then a list of exactly that many elements.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65536
	Length int32 `json:"length,omitempty"`

	// packed leaves out the padding that the C ABI puts between and after fields
	// (`__attribute__((packed))`).
	// +optional
	Packed bool `json:"packed,omitempty"`

	// fields are the members of a C struct in their order, laid out with the C ABI's alignment.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Fields []Field `json:"fields,omitempty"`
}

// Field is one member of a struct.
type Field struct {
	// name is the member's name, a C identifier, unique in its struct.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z_][A-Za-z0-9_]*$`
	Name string `json:"name"`

	// type is the scalar type. Exactly one of type and fields is given.
	// +optional
	Type ScalarType `json:"type,omitempty"`

	// size is the length in bytes of a string, bytes or hex; other types have a fixed size.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1048576
	Size int32 `json:"size,omitempty"`

	// length makes an array of that many elements, as in C's `__u16 ports[8]`.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65536
	Length int32 `json:"length,omitempty"`

	// packed leaves out the padding between and after the fields of this member's struct.
	// +optional
	Packed bool `json:"packed,omitempty"`

	// fields are the members of a nested struct.
	//
	// A Go type can contain itself and a CRD's schema can't: hack/crdgen writes this property out
	// to MaxFieldDepth levels in the generated CRDs.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	Fields []Field `json:"fields,omitempty"`
}

// AsSchema is the field without its name.
func (f *Field) AsSchema() Schema {
	return Schema{Type: f.Type, Size: f.Size, Length: f.Length, Packed: f.Packed, Fields: f.Fields}
}
