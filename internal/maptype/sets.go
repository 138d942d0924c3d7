// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package maptype

import (
	"maps"
	"slices"
	"strings"
)

// sets are the sets of types that the rules of the API name. The markers of api/v1alpha1 refer to them
// as ${name}, and hack/crdgen writes the types in their place.
var sets = map[string]func(*Type) bool{
	"keyless":      func(t *Type) bool { return t.IsKeyless() },
	"valueless":    func(t *Type) bool { return !t.Value.Exists() },
	"indexed":      func(t *Type) bool { return t.Indexed },
	"defaultKey":   func(t *Type) bool { return t.Key.Default.Type != "" },
	"needsValue":   func(t *Type) bool { return t.Value.Exists() && t.Value.Default.Type == "" },
	"prefixKey":    func(t *Type) bool { return t.LPM },
	"mapOfMaps":    func(t *Type) bool { return t.MapOfMaps },
	"hashFilter":   func(t *Type) bool { return t.HashFunctions > 0 },
	"extra":        func(t *Type) bool { return t.Extra != NoExtra },
	"address":      func(t *Type) bool { return t.Extra == Address },
	"sizeHint":     func(t *Type) bool { return t.Extra == SizeHint },
	"unbounded":    func(t *Type) bool { return t.Capacity == Unbounded },
	"sizedInBytes": func(t *Type) bool { return t.Capacity == Bytes },
	"runtime":      func(t *Type) bool { return t.Runtime },
	"consumed":     func(t *Type) bool { return !t.Runtime && t.Reading == Consumed },
	"unlistable":   func(t *Type) bool { return !t.Runtime && (t.Reading == Asked || t.Reading == Unreadable) },
	"spinLock":     func(t *Type) bool { return t.SpinLock },
	"shared":       func(t *Type) bool { return t.CanShare() },
	"perCPU":       func(t *Type) bool { return t.PerCPU },
	"notInner":     func(t *Type) bool { return t.Inner == NotInner },
	"mapRef":       holds("mapRef"),
	"progPin":      holds("progPin"),
	"progBehind":   func(t *Type) bool { return t.Values == DescriptorsBehind },
	"cgroup":       holds("cgroup"),
	"innerKeyless": func(t *Type) bool { return t.IsKeyless() && t.Inner != NotInner },
}

// holds is for types whose values are links of a type alone.
func holds(link string) func(*Type) bool {
	return func(t *Type) bool { return t.Value.Default.Type == link && slices.Contains(t.Value.References, link) }
}

// flagPrefix begins the names of the sets of types that take a flag.
const flagPrefix = "flag."

// Set are the names of the offered types in a set: one of SetNames, or flag.NAME for the types that take
// a flag. ok is false if there is no such set.
func Set(name string) (names []string, ok bool) {
	in, ok := sets[name]
	if flag, isFlag := strings.CutPrefix(name, flagPrefix); isFlag {
		var f Flag
		f, ok = FlagByName(flag)
		in = func(t *Type) bool { return t.Flags&f.Bit != 0 }
	}
	if !ok {
		return nil, false
	}
	for _, t := range Offered() {
		if in(t) {
			names = append(names, t.Name)
		}
	}
	return names, true
}

// SetNames are the names of the sets without those of the flags, sorted.
func SetNames() []string { return slices.Sorted(maps.Keys(sets)) }

// List is names in a sentence: "A, B and C".
func List(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
