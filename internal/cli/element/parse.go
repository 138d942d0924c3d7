// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package element

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/number"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// Notation is the help text for what Parse takes.
const Notation = `Keys and values are written as TYPE:TEXT, with the scalar types of manifests: u32:5, i8:-1,
be16:0x1f90, f64:0.5, ipv4:192.0.2.1, ip:2001:db8::1, mac:02:00:5e:10:00:01, ipv4Prefix:10.0.0.0/8,
dnsName:example.com, str:name, hex:18000000.
A flag that is given several times puts the parts together: --value u8:1 --value hex:000000 --value
u32:7. Where a schema is known (-f, a managed map, BTF) the type may be left out. Values are then
written as in a manifest: pass (an enum), 'syn|ack' or '[syn, ack]' (flags), 1h30m (a duration),
'{action: 1, rule: 7}' (a struct, without the fields that have a default), '{v4: 192.0.2.1}' (one
member of a union), '{$hex: "0102"}' (bytes as they are).`

// Parse makes the bytes of a key or value of c's size. Each part is TYPE:TEXT; a single part may be
// what c itself reads.
func Parse(parts []string, c Codec) ([]byte, error) {
	if len(parts) == 1 {
		if _, _, explicit := cutType(parts[0]); !explicit {
			return parseWith(c, parts[0])
		}
	}
	var all []byte
	for _, part := range parts {
		room := c.Size() - len(all)
		b, err := parsePart(part, room, len(parts) == 1)
		if err != nil {
			return nil, err
		}
		all = append(all, b...)
	}
	if len(all) != c.Size() {
		return nil, fmt.Errorf("%s makes %d bytes, %d are needed", strings.Join(parts, " "), len(all), c.Size())
	}
	return all, nil
}

// cutType splits "u32:5". It is explicit only if what stands before the colon is a type: a MAC
// address has colons as well.
func cutType(part string) (t v1alpha1.ScalarType, text string, explicit bool) {
	before, text, found := strings.Cut(part, ":")
	if before == "str" {
		before = string(v1alpha1.TypeString)
	}
	t = v1alpha1.ScalarType(before)
	return t, text, found && isScalar(t)
}

func isScalar(t v1alpha1.ScalarType) bool {
	_, unsized := schema.New(&v1alpha1.Schema{Type: t})
	_, sized := schema.New(&v1alpha1.Schema{Type: t, Size: 1})
	return unsized == nil || sized == nil
}

// encoder is a codec that reads, too.
type encoder interface {
	Codec
	Encode(dst, raw []byte) error
}

// parseWith reads text by a known schema.
func parseWith(c Codec, text string) ([]byte, error) {
	e, ok := c.(encoder)
	if !ok {
		return nil, fmt.Errorf("%q needs a type, such as u32:… or hex:…: the map's schema is not known", text)
	}
	raw, err := literal(e, text)
	if err != nil {
		return nil, err
	}
	b := make([]byte, e.Size())
	if err := e.Encode(b, raw); err != nil {
		return nil, err
	}
	return b, nil
}

// literal is the JSON of what a person wrote: objects, lists and booleans as in a manifest. Anything
// else is a string, which every other scalar type reads: YAML takes 010 for 8. What is to be a string is
// one, whatever stands in it.
func literal(c Codec, text string) ([]byte, error) {
	isStructured := text == "true" || text == "false" || strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[")
	if !isStructured || isText(c) && !exactBytes(text) {
		return json.Marshal(text)
	}
	raw, err := yaml.YAMLToJSONStrict([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", text, err)
	}
	var root yamlv3.Node
	if err := yamlv3.Unmarshal([]byte(text), &root); err != nil {
		return nil, fmt.Errorf("read %q: %w", text, err)
	}
	if found := number.Find(&root); len(found) > 0 {
		return nil, fmt.Errorf("%s: %s", found[0].Path, found[0].Message)
	}
	return raw, nil
}

// isText says whether c reads texts, of which any is a value.
func isText(c Codec) bool {
	l, ok := c.(*schema.Layout)
	return ok && (l.Scalar() == v1alpha1.TypeString || l.Scalar() == v1alpha1.TypeCountedString)
}

// exactBytes says whether a text gives bytes as they are.
func exactBytes(text string) bool {
	return strings.HasPrefix(strings.TrimLeft(text, "{ \"'"), "$hex")
}

// parsePart reads TYPE:TEXT. A text that is the only part is padded to room.
func parsePart(part string, room int, only bool) ([]byte, error) {
	typ, text, explicit := cutType(part)
	if !explicit {
		return nil, fmt.Errorf("%q is not TYPE:TEXT", part)
	}
	s := v1alpha1.Schema{Type: typ}
	switch size, err := textSize(typ, text); {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", part, err)
	case only && (typ == v1alpha1.TypeString || typ == v1alpha1.TypeDNSName):
		s.Size = int32(room)
	case only && typ == v1alpha1.TypeCountedString:
		s.Size = int32(room) - 1 // the length is a byte
	case size > 0:
		s.Size = int32(size)
	}
	layout, err := schema.New(&s)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", part, err)
	}
	b, err := parseWith(layout, text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", part, err)
	}
	return b, nil
}

// textSize is how many bytes a text of a type without its own size makes; 0 for other types.
func textSize(typ v1alpha1.ScalarType, text string) (int, error) {
	switch typ {
	case v1alpha1.TypeString, v1alpha1.TypeCountedString:
		return len(text), nil
	case v1alpha1.TypeDNSName:
		return len(strings.TrimSuffix(text, ".")) + 2, nil // as many as its labels' lengths and the root's zero make it
	case v1alpha1.TypeBytes:
		b, err := base64.StdEncoding.DecodeString(text)
		return len(b), err
	case v1alpha1.TypeHex:
		digits := strings.NewReplacer("0x", "", " ", "", ":", "", "-", "", "_", "").Replace(text)
		return hex.DecodedLen(len(digits)), nil
	}
	return 0, nil
}
