// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

// MaxFieldDepth is how many levels of `fields` the CRDs describe. OpenAPI in CRDs knows no
// recursion, so the generated schema is the Go type written out this many times.
const MaxFieldDepth = 8

// ScalarType names how one key, value or field is written in YAML and laid out in memory. Size and alignment are
// those of the C type that each stands for.
//
//   - u8, u16, u32, u64, u128 and i8, i16, i32, i64, i128 are integers in the node's byte order (__u8…, aligned to
//     their size), be16, be32 and be64 integers in network order (__be16…). They take decimal and 0x… notation as a
//     number or a string, and are never truncated.
//   - f32 and f64 are C's float and double; bool is one byte.
//   - ipv4 is an IPv4 address in network order (__be32), ipv4Host one in the node's byte order (__u32), ipv6 an
//     IPv6 address (struct in6_addr, aligned to 4 bytes), ip an address of either family in 16 bytes (see
//     ipv4As), mac six bytes.
//   - ipv4Prefix, ipv6Prefix and ipPrefix are the kernel's LPM trie keys: a 32-bit prefix length in the node's
//     order, followed by the address.
//   - string is NUL-padded to size; countedString is a number of bytes (lengthType) followed by size bytes;
//     dnsName is a domain name in wire format, padded to size with zeros; bytes (base64) and hex are exactly size
//     bytes; padding is size bytes, or as many bits, of zeros without a name and a value.
//   - References are names that each node resolves when it writes: ifindex (4 bytes) is the index of a network
//     interface by its name, cgroupID (8 bytes) the id of a cgroup by its path below the cgroup2 mount, as
//     bpf_get_current_cgroup_id gives it. Both take a number where a program gives one a meaning of its own, such
//     as 0 for any interface. Only as values of the types that take them: mapRef is another BPFMap of the same
//     namespace (ArrayOfMaps, HashOfMaps), progPin a program by its pin's path relative to the BPF file system
//     (ProgArray, and beside the index in DevMap, DevMapHash and CPUMap, where an empty string means none), cgroup
//     a cgroup by its path (CGroupArray). An entry whose reference isn't found is pending until it is.
//   - spinLock (4 bytes) is a struct bpf_spin_lock: the map is then written and read under the lock (BPF_F_LOCK),
//     and entries leave the field out.
//   - timer, workqueue and kptr belong to the kernel, and are refused.
//
// +kubebuilder:validation:Enum=u8;u16;u32;u64;u128;i8;i16;i32;i64;i128;be16;be32;be64;f32;f64;bool;ipv4;ipv4Host;ipv6;ip;mac;ipv4Prefix;ipv6Prefix;ipPrefix;string;countedString;dnsName;bytes;hex;padding;ifindex;mapRef;progPin;cgroup;cgroupID;spinLock;timer;workqueue;kptr
type ScalarType string

// The scalar types.
const (
	TypeU8            ScalarType = "u8"
	TypeU16           ScalarType = "u16"
	TypeU32           ScalarType = "u32"
	TypeU64           ScalarType = "u64"
	TypeU128          ScalarType = "u128"
	TypeI8            ScalarType = "i8"
	TypeI16           ScalarType = "i16"
	TypeI32           ScalarType = "i32"
	TypeI64           ScalarType = "i64"
	TypeI128          ScalarType = "i128"
	TypeBE16          ScalarType = "be16"
	TypeBE32          ScalarType = "be32"
	TypeBE64          ScalarType = "be64"
	TypeF32           ScalarType = "f32"
	TypeF64           ScalarType = "f64"
	TypeBool          ScalarType = "bool"
	TypeIPv4          ScalarType = "ipv4"
	TypeIPv4Host      ScalarType = "ipv4Host"
	TypeIPv6          ScalarType = "ipv6"
	TypeIP            ScalarType = "ip"
	TypeMAC           ScalarType = "mac"
	TypeIPv4Prefix    ScalarType = "ipv4Prefix"
	TypeIPv6Prefix    ScalarType = "ipv6Prefix"
	TypeIPPrefix      ScalarType = "ipPrefix"
	TypeString        ScalarType = "string"
	TypeCountedString ScalarType = "countedString"
	TypeDNSName       ScalarType = "dnsName"
	TypeBytes         ScalarType = "bytes"
	TypeHex           ScalarType = "hex"
	TypePadding       ScalarType = "padding"
	TypeIfindex       ScalarType = "ifindex"
	TypeMapRef        ScalarType = "mapRef"
	TypeProgPin       ScalarType = "progPin"
	TypeCgroup        ScalarType = "cgroup"
	TypeCgroupID      ScalarType = "cgroupID"
	TypeSpinLock      ScalarType = "spinLock"
	TypeTimer         ScalarType = "timer"
	TypeWorkqueue     ScalarType = "workqueue"
	TypeKptr          ScalarType = "kptr"
)

// IPv4Placement is where the 4 bytes of an IPv4 address are in the 16 of type ip and ipPrefix.
//
// +kubebuilder:validation:Enum=Mapped;First;Last
type IPv4Placement string

// The places of an IPv4 address in 16 bytes.
const (
	// IPv4Mapped is ::ffff:a.b.c.d (RFC 4291, 2.5.5.2): the last four bytes, behind ten of zeros and two of 0xff.
	IPv4Mapped IPv4Placement = "Mapped"
	// IPv4First is the first four bytes, followed by zeros: the union of __be32 and __be32[4] that many programs use.
	IPv4First IPv4Placement = "First"
	// IPv4Last is the last four bytes, behind zeros.
	IPv4Last IPv4Placement = "Last"
)

// TimeUnit is what an integer counts.
//
// +kubebuilder:validation:Enum=ns;us;ms;s
type TimeUnit string

// The units of durations and times.
const (
	// UnitNanoseconds are nanoseconds, as bpf_ktime_get_ns gives them.
	UnitNanoseconds TimeUnit = "ns"
	// UnitMicroseconds are microseconds.
	UnitMicroseconds TimeUnit = "us"
	// UnitMilliseconds are milliseconds.
	UnitMilliseconds TimeUnit = "ms"
	// UnitSeconds are seconds.
	UnitSeconds TimeUnit = "s"
)

// Owner says who writes a part of a value once its element is there.
//
// +kubebuilder:validation:Enum=Program
type Owner string

// The owners. What isn't the program's is the declaration's.
const (
	// OwnerProgram is the programs that use the map.
	OwnerProgram Owner = "Program"
)

// Schema is the layout of a key, a value or a field: a scalar (`type`), or a C struct or union (`fields`), and arrays
// of them. Offsets and sizes follow from it as a C compiler lays it out. The compiler checks what CEL's
// cost budget doesn't let the CRD check.
//
// +kubebuilder:validation:XValidation:rule="has(self.type) != has(self.fields)",message="exactly one of type and fields is needed"
// +kubebuilder:validation:XValidation:rule="!has(self.type) || !(self.type in ['string','countedString','dnsName','bytes','hex']) || has(self.size)",message="size is needed for string, countedString, dnsName, bytes and hex"
type Schema struct {
	// type is the scalar type. Exactly one of type and fields is given.
	// +optional
	Type ScalarType `json:"type,omitempty"`

	// size is the length in bytes of a string, countedString, dnsName, bytes, hex or padding. Of anything else it
	// is asserted: a struct or union whose fields make another size is refused. A be16 with size 4 is the index of
	// an array that a program indexes by a port in network order.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1048576
	Size int32 `json:"size,omitempty"`

	// length makes an array of that many elements, as in C's `__u16 ports[8]`: the YAML value is then a list. Where
	// elements have a default, a shorter list is filled up with it, as in C; a longer one is an error.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65536
	Length int32 `json:"length,omitempty"`

	// dimensions makes an array of arrays, as in C's `__u8 m[3][4]` for [3, 4]: the YAML value is then a list of
	// lists. It takes the place of length.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	// +kubebuilder:validation:items:Minimum=1
	// +kubebuilder:validation:items:Maximum=65536
	Dimensions []int32 `json:"dimensions,omitempty"`

	// fields are the members of a C struct, or union, in their order.
	//
	// A Go type can contain itself and a CRD's schema can't: hack/crdgen writes this property out to MaxFieldDepth
	// levels in the generated CRDs.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	Fields []Field `json:"fields,omitempty"`

	// union says that the fields are the members of a C union, which all begin at the same byte: a value gives
	// exactly one of them.
	// +optional
	Union bool `json:"union,omitempty"`

	// packed leaves out the padding that the C ABI puts between and after fields
	// (`__attribute__((packed))`).
	// +optional
	Packed bool `json:"packed,omitempty"`

	// align raises the alignment to that many bytes, a power of two, as C's `__attribute__((aligned(8)))` does for
	// a member or a struct.
	// +optional
	// +kubebuilder:validation:Enum=1;2;4;8;16;32;64;128
	Align int32 `json:"align,omitempty"`

	// bits is the width of a bit-field, as in C's `__u32 mode : 3`: consecutive ones share their bytes as the C ABI
	// packs them. Only for integers and bool in the node's byte order, and for padding, as fields of a struct or union.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=64
	Bits int32 `json:"bits,omitempty"`

	// prefix says that lookups match this by prefix, in the key of an LPMTrie: the key as a whole, or its last
	// field. The kernel's 32-bit prefix length stands in front of the key's fields and isn't one of them; it
	// counts all bits before this field and the prefix' own. Entries give addresses as 192.0.2.0/24, strings as
	// what keys begin with, and integers as a number or a range (8000-8999), which becomes the fewest prefixes.
	// +optional
	Prefix bool `json:"prefix,omitempty"`

	// enum names numbers, as a C enum does: entries give a name or a number. Only for integers. Numbers above
	// 9223372036854775807 are written as negative ones of the same bits.
	// +optional
	// +kubebuilder:validation:MaxProperties=512
	Enum map[string]int64 `json:"enum,omitempty"`

	// flags names bits, or masks of several: entries give a list of names and numbers, or one number; bits without
	// a name are kept. Only for integers.
	// +optional
	// +kubebuilder:validation:MaxProperties=128
	Flags map[string]int64 `json:"flags,omitempty"`

	// duration says that an integer is a duration in this unit: entries give 1h30m, 250ms or a number of the unit.
	// +optional
	Duration TimeUnit `json:"duration,omitempty"`

	// time says that an integer is a time since 1970-01-01T00:00:00Z in this unit: entries give an RFC 3339 time,
	// such as 2030-01-01T00:00:00Z, or a number of the unit.
	// +optional
	Time TimeUnit `json:"time,omitempty"`

	// lengthType is the integer in front of a countedString that holds its length in bytes; u8 if not given.
	// +optional
	// +kubebuilder:validation:Enum=u8;u16;u32;u64;be16;be32;be64
	LengthType ScalarType `json:"lengthType,omitempty"`

	// ipv4As is where type ip and ipPrefix put an IPv4 address: Mapped (::ffff:a.b.c.d) if not given, in the First
	// or the Last four bytes.
	// +optional
	IPv4As IPv4Placement `json:"ipv4As,omitempty"`

	// owner says who writes this part of a value, or the value as a whole. Of a Program's part, such as a counter or
	// the tokens of a bucket, an entry may give the first value, which is written when the element is made (without
	// one, default, else zeros). It is never compared with the map and never written again, and what is declared
	// beside it is written without touching it. Arrays and unions have one owner as a whole; keys have none.
	// +optional
	Owner Owner `json:"owner,omitempty"`

	// default is what entries hold that leave this out: a field, or the value as a whole. Without it, leaving one
	// out is an error.
	// +optional
	Default *apiextensionsv1.JSON `json:"default,omitempty"`
}

// Field is one member of a struct or union.
type Field struct {
	// name is the member's name, a C identifier, unique in its struct. Padding has none.
	// +optional
	Name string `json:"name,omitempty"`

	Schema `json:",inline"`
}

// What names of fields are.
const (
	FieldNamePattern   = `^[A-Za-z_][A-Za-z0-9_]*$`
	MaxFieldNameLength = 63
	MaxFields          = 128
)
