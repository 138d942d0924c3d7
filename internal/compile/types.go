// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// traitsOf is what the kernel does with maps of a type; nil if the API doesn't offer it.
func traitsOf(t v1alpha1.MapType) *maptype.Type {
	if known := maptype.ByName(string(t)); known != nil && known.IsOffered() {
		return known
	}
	return nil
}

// unknownType says what there is instead of a map type that the API doesn't offer.
func unknownType(t v1alpha1.MapType) string {
	var names []string
	for _, offered := range maptype.Offered() {
		names = append(names, offered.Name)
	}
	if known := maptype.Parse(string(t)); known != nil && !known.IsOffered() {
		return fmt.Sprintf("%s is not offered: %s", known.Name, known.NotOffered)
	} else if known != nil {
		return fmt.Sprintf("unknown map type %q (did you mean %s?)", t, known.Name)
	}
	return fmt.Sprintf("unknown map type %q%s, must be one of %s", t, schema.Suggest(string(t), names), strings.Join(names, ", "))
}

// isSeedOnly says whether contents can be written once and never be compared.
func isSeedOnly(t *maptype.Type) bool { return t.Runtime || t.Reading == maptype.Consumed }

// isUnlisted says whether what a map holds can't be listed, so that nothing can be taken away.
func isUnlisted(t *maptype.Type) bool { return t.Reading != maptype.Listed }

// flagSet are the declared flags as bits; unknown ones are left out.
func flagSet(flags []v1alpha1.MapFlag) (set maptype.Flags) {
	for _, name := range flags {
		if f, ok := maptype.FlagByName(string(name)); ok {
			set |= f.Bit
		}
	}
	return set
}

// defaultSchema is the schema of a datum that isn't declared; nil if it must be.
func defaultSchema(d maptype.Datum) *v1alpha1.Schema {
	if d.Default.Type == "" {
		return nil
	}
	return &v1alpha1.Schema{Type: v1alpha1.ScalarType(d.Default.Type), Length: d.Default.Length}
}

// schemas are the declared schemas, or those of the type if it leaves no choice.
func (c *compiler) schemas(p part, key *v1alpha1.Schema, value v1alpha1.Schema) (*v1alpha1.Schema, *v1alpha1.Schema) {
	t := p.traits
	if t == nil {
		return key, &value
	}
	keySchema, valueSchema := key, &value
	switch byDefault := defaultSchema(t.Key); {
	case t.IsKeyless() && key != nil:
		c.problems.add(p.path+".key", "%s has no key: leave it out", p.typ)
	case key == nil && byDefault != nil:
		keySchema = byDefault
	case key == nil && !t.IsKeyless():
		c.problems.add(p.path+".key", "is missing: %s needs one", p.typ)
	}
	if t.IsKeyless() {
		keySchema = nil
	}
	keySchema = c.keySchema(p, keySchema)
	switch byDefault := defaultSchema(t.ValueWith(p.flags)); {
	case !t.Value.Exists() && !isZero(&value):
		c.problems.add(p.path+".value", "%s has no values: leave it out", p.typ)
	case !t.Value.Exists():
		valueSchema = nil
	case isZero(&value) && byDefault != nil:
		valueSchema = byDefault
	case isZero(&value):
		c.problems.add(p.path+".value", "is missing: %s needs one", p.typ)
	}
	return keySchema, valueSchema
}

func isZero(s *v1alpha1.Schema) bool {
	return reflect.ValueOf(*s).IsZero()
}

// checkLinks refuses linked types where the kernel takes no such value.
func (c *compiler) checkLinks(p part, key, value *schema.Layout) {
	if p.traits == nil {
		return
	}
	check := func(path string, l *schema.Layout, more ...string) {
		if l == nil {
			return
		}
		allowed := []v1alpha1.ScalarType{v1alpha1.TypeIfindex, v1alpha1.TypeCgroupID}
		for _, link := range more {
			allowed = append(allowed, v1alpha1.ScalarType(link))
		}
		for _, f := range l.References() {
			if !slices.Contains(allowed, f.Type) {
				c.problems.add(path, "%s does not allow %s here (allowed: %s)", p.typ, f.Type, join(allowed))
				return
			}
		}
	}
	check(p.path+".key", key)
	check(p.path+".value", value, p.traits.Value.References...)
	if value == nil || p.traits.Values != maptype.DescriptorsBehind {
		return
	}
	for _, f := range value.References() { // struct bpf_devmap_val and bpf_cpumap_val
		if f.Type == v1alpha1.TypeProgPin && f.Offset != 4 || f.Type == v1alpha1.TypeIfindex && f.Offset != 0 {
			number := p.traits.Value.Default.Type
			c.problems.add(p.path+".value", "has %s in byte %d, %s takes {fields: [{name: number, type: %s}, {name: prog, type: progPin}]}", f.Type, f.Offset, p.typ, number)
		}
	}
}
