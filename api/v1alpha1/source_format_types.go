// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// SourceFormat is how a source writes its items. Without a mapping, an item is an entry: keys and values are
// written as in entries. With one, an expression sees an item as it is described here.
//
//   - Lines has one key per line, and the same value for all of them. Empty lines are ignored, and so is
//     everything after a comment sign (text.comments; "#") at the beginning of a line or after a blank. With
//     text.separator a line has columns: the first one is the key, and an item is an object of all of them. For
//     Queue and Stack a line is a value.
//   - CSV has a header that names the columns: key and value, or key.FIELD and value.FIELD (deeper fields with more
//     dots) for schemas with fields. Columns of other names are an error without a mapping. An item is an object of
//     the columns.
//   - JSON is a list of items ([{"key": …, "value": …}]), items one after the other (JSON lines), or any document
//     with lists at mapping.items.
//   - YAML is a list of items, or a document of at most 2 MiB with lists at mapping.items.
//   - Hosts is a hosts file (man 5 hosts): lines of an address and names. Each name is an item {address, name}, and
//     the key.
//   - IPSet is what `ipset save` writes. Each `add` is an item {set, entry, …} with its options, such as timeout and
//     comment, and entry the key.
//   - NFTables is what `nft -j list set` (or ruleset) writes. Each element is an item {family, table, set, elem, …}
//     with its options, such as timeout and comment, and elem the key: 192.0.2.0/24 for a prefix, a-b for a range, a
//     list for a concatenation. Of maps, data is what the element maps to.
//   - P2P is a list of ranges with names, `name:192.0.2.0-192.0.2.255`. An item is {name, range}, and range the key.
//
// +kubebuilder:validation:Enum=Lines;CSV;JSON;YAML;Hosts;IPSet;NFTables;P2P
type SourceFormat string

// The formats of sources.
const (
	SourceLines    SourceFormat = "Lines"
	SourceCSV      SourceFormat = "CSV"
	SourceJSON     SourceFormat = "JSON"
	SourceYAML     SourceFormat = "YAML"
	SourceHosts    SourceFormat = "Hosts"
	SourceIPSet    SourceFormat = "IPSet"
	SourceNFTables SourceFormat = "NFTables"
	SourceP2P      SourceFormat = "P2P"
)

// SourceFormats are all formats, in the order in which messages name them.
var SourceFormats = []SourceFormat{
	SourceLines, SourceCSV, SourceJSON, SourceYAML, SourceHosts, SourceIPSet, SourceNFTables, SourceP2P,
}

// HeaderPolicy says whether a text begins with a line that names its columns.
//
// +kubebuilder:validation:Enum=Present;None
type HeaderPolicy string

// The policies for headers.
const (
	// HeaderPresent says that the first line names the columns. Names in text.columns take their place.
	HeaderPresent HeaderPolicy = "Present"
	// HeaderNone says that the first line is an item, as all others are.
	HeaderNone HeaderPolicy = "None"
)

// TextOptions say how lines are cut into columns.
type TextOptions struct {
	// comments are the signs that begin a comment; ["#"] if not given. For Lines, Hosts, IPSet and P2P a comment begins
	// at the beginning of a line or after a blank, for CSV at the beginning of a line, where a sign is one character.
	// Example: [";"] for the DROP list of Spamhaus.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=8
	Comments []string `json:"comments,omitempty"`

	// separator stands between columns: one character for CSV ("," if not given), any text for Lines, whose lines
	// have one column if it isn't given. For Lines a single blank stands for any number of blanks and tabs. Examples:
	// ";", "\t", " ".
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=8
	Separator string `json:"separator,omitempty"`

	// header says whether the first line names the columns: Present for CSV if columns isn't given, otherwise None.
	// +optional
	Header HeaderPolicy `json:"header,omitempty"`

	// columns names the columns in their order, where no header does or its names don't suit. Columns beyond them,
	// and all columns if there are neither names nor a header, are named by their number: "1" is the first. Example:
	// [network, country, region, city] for a geofeed (RFC 8805).
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	Columns []string `json:"columns,omitempty"`
}

// HostBitsPolicy says what becomes of a prefix with bits behind its length.
//
// +kubebuilder:validation:Enum=Error;Mask
type HostBitsPolicy string

// The policies for bits behind a prefix length.
const (
	// HostBitsError makes the item invalid.
	HostBitsError HostBitsPolicy = "Error"
	// HostBitsMask clears them: 192.0.2.1/24 is 192.0.2.0/24.
	HostBitsMask HostBitsPolicy = "Mask"
)

// EntryMapping says which items of a source become entries, and how.
//
// A path goes into an item by names: ip_prefix, properties.addressPrefixes[], elem[0] (the first of a list), or
// ["a name"] for names with other characters than letters, digits, "_" and "-". For formats with columns it is a column's
// name, or its number from 1. [] stands for all elements of a list, * for all members of an object.
//
// An expression is in CEL (https://cel.dev) over the variable item, with optional values (item.?country) and the
// functions split, join, replace, trim, substring, indexOf, lowerAscii, upperAscii, and ip, cidr, isIP and isCIDR for
// addresses. Items of texts are objects of strings, those of JSON and YAML are what the document has. An item for which an
// expression fails, or costs more than 25000, is invalid.
type EntryMapping struct {
	// items is the path to the items in a JSON or YAML document: prefixes[], or values[].properties.addressPrefixes[]
	// for lists in lists. If not given, the document is the list, or has one item after the other.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Items string `json:"items,omitempty"`

	// filter is an expression that is true for the items that become entries: item.service == "EC2", or
	// has(item.cidr). All others are left out and counted.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Filter string `json:"filter,omitempty"`

	// key is where an item has the entry's key. If not given, it is what the format calls the key, the item itself if
	// it is no object, its member key, or its columns key and key.FIELD.
	// +optional
	Key *PartMapping `json:"key,omitempty"`

	// value is where an item has the entry's value. If not given, it is its member value or its columns value and
	// value.FIELD. What an item doesn't give is taken from the source's value, then from the schema's default.
	// +optional
	Value *PartMapping `json:"value,omitempty"`

	// expires is where an item says when its entry is to go: a time (RFC 3339, such as 2026-12-31T23:59:59Z), or seconds
	// since 1970. Nothing, null or an empty text is never. If not given, it is its member or column expires.
	// +optional
	// +kubebuilder:validation:XValidation:rule="has(self.path) != has(self.expression)",message="exactly one of path and expression is needed"
	Expires *FieldMapping `json:"expires,omitempty"`
}

// PartMapping is where an item has a key or a value: as a whole, or field by field.
//
// +kubebuilder:validation:XValidation:rule="(has(self.path) ? 1 : 0) + (has(self.expression) ? 1 : 0) + (has(self.fields) ? 1 : 0) == 1",message="exactly one of path, expression and fields is needed"
type PartMapping struct {
	FieldMapping `json:",inline"`

	// fields are the fields of a key or value by their names, with dots for deeper ones: {addr: {path: ip}, port:
	// {expression: "443"}}. Fields that aren't named are taken from the source's value, then from the schema's default.
	// +optional
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=128
	// +kubebuilder:validation:XValidation:rule="self.all(f, has(self[f].path) != has(self[f].expression))",message="exactly one of path and expression is needed"
	Fields map[string]FieldMapping `json:"fields,omitempty"`
}

// FieldMapping is where an item has one value: a path or an expression.
type FieldMapping struct {
	// path is where it is in the item: ip_prefix. A key whose path has [] is several, and so is its item: one entry for
	// each, with the same value.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Path string `json:"path,omitempty"`

	// expression makes it of the item: has(item.ipv4Prefix) ? item.ipv4Prefix : item.ipv6Prefix. A key that is a list,
	// where the schema has none, is several.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Expression string `json:"expression,omitempty"`
}
