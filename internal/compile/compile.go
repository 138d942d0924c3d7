// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/expression"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
	"github.com/bpfmap-io/bpfmap-operator/internal/source"
)

// maxNameLen bounds a BPFMap's name, so that "<name>-<number>" is a name, too.
const maxNameLen = 200

// maxEntriesBytes is v1alpha1.MaxEntriesBytes but for tests.
var maxEntriesBytes int64 = v1alpha1.MaxEntriesBytes

// maxTextBytes is source.MaxAllBytes but for tests.
var maxTextBytes int64 = source.MaxAllBytes

// Compile is With without sources.
func Compile(m *v1alpha1.BPFMap) (*revision.Revision, error) { return With(m, nil, nil) }

// With is Run without a time and without contents in use: nothing has expired, and any change is allowed.
func With(m *v1alpha1.BPFMap, sources []Source, cache *Cache) (*revision.Revision, error) {
	result, err := Run(m, Input{Sources: sources, Cache: cache})
	return result.Revision, err
}

// Outline is what m compiles to but its contents: its entries aren't looked at. The error is an *Error.
func Outline(m *v1alpha1.BPFMap) (*revision.Revision, error) { return newCompiler(m, nil).outline(m) }

func newCompiler(m *v1alpha1.BPFMap, sources []Source) *compiler {
	return &compiler{
		spec: &m.Spec, uid: string(m.UID), sources: sources, problems: problems{reason: v1alpha1.ReasonInvalidSpec},
		links: map[v1alpha1.Reference]bool{}, textLeft: maxTextBytes, cache: (*Cache)(nil).session(revision.Key{}),
	}
}

// isSensitive says whether entries come from a Secret.
func isSensitive(spec *v1alpha1.BPFMapSpec) bool {
	return slices.ContainsFunc(spec.EntriesFrom, isSecret)
}

// isSecret says that a source is for the eyes of those alone who may read Secrets.
func isSecret(from v1alpha1.EntrySource) bool {
	return from.SecretRef != nil || from.HTTP != nil && from.HTTP.SecretRef != nil
}

func (c *compiler) compile(m *v1alpha1.BPFMap) (*revision.Revision, error) {
	rev, err := c.outline(m)
	if err != nil {
		return nil, err
	}
	c.problems.reason = v1alpha1.ReasonInvalidEntry
	entries := c.entries(rev.Shape)
	if c.unread != nil {
		return nil, c.unread
	}
	if err := c.problems.err(); err != nil {
		return nil, err
	}
	rev.References = c.sortedLinks(rev.Key)
	if err := c.problems.err(); err != nil {
		return nil, err
	}
	if rev.Contents, err = revision.NewContents(rev.Shape, &entries); err != nil {
		c.problems.reason = v1alpha1.ReasonTooLarge
		c.problems.add("spec.entries", "%s", err)
		return nil, c.problems.err()
	}
	rev.Digest = rev.ContentDigest()
	return rev, nil
}

// outline compiles everything but the contents.
func (c *compiler) outline(m *v1alpha1.BPFMap) (*revision.Revision, error) {
	rev := &revision.Revision{
		Key:          revision.Key{Namespace: m.Namespace, Name: m.Name},
		UID:          string(m.UID),
		NodeSelector: m.Spec.NodeSelector,
		Sensitive:    isSensitive(&m.Spec),
	}
	c.checkName(m)
	rev.Group = c.group()
	rev.Policy = c.policy()
	rev.Pin = c.pin(rev.Key)
	whole := newPart("spec", m.Spec.Type, m.Spec.Flags)
	keySchema, valueSchema := c.schemas(whole, m.Spec.Key, m.Spec.Value)
	key, value := c.layouts(whole, keySchema, valueSchema)
	if err := c.problems.err(); err != nil {
		return nil, err
	}
	rev.KeySchema = keySchema
	if valueSchema != nil {
		rev.ValueSchema = *valueSchema
	}
	c.checkLinks(whole, key, value)
	rev.Shape = c.shape(rev.Key, key, value)
	if err := c.problems.err(); err != nil {
		return nil, err
	}
	c.checkMappings(keySchema, valueSchema)
	c.checkMetrics(rev)
	if err := c.problems.err(); err != nil {
		return nil, err
	}
	c.key, c.value = key, value
	return rev, nil
}

// compiler is one run over one spec.
type compiler struct {
	spec     *v1alpha1.BPFMapSpec
	uid      string
	sources  []Source
	cache    *session
	problems problems
	// key and value are nil for types without them.
	key, value *schema.Layout
	textLeft   int64 // of source.MaxAllBytes
	full       bool  // the map has no room for more entries
	unread     error // a source that couldn't be read
	in         Input
	allowed    string // of v1alpha1.AnnotationAllowChange
	links      map[v1alpha1.Reference]bool
	// elements are those of spec.entriesFrom, once their sources are read.
	elements []element
	// mappings are those of spec.entriesFrom, nil for elements without one; budget is what their expressions may cost.
	mappings []*source.Mapping
	budget   *expression.Budget
	seen     sightings
}

func (c *compiler) checkName(m *v1alpha1.BPFMap) {
	if m.Namespace == "" {
		c.problems.add("metadata.namespace", "is missing")
	} else if msgs := validation.IsDNS1123Label(m.Namespace); len(msgs) > 0 {
		c.problems.add("metadata.namespace", "%q: %s", m.Namespace, msgs[0])
	}
	switch msgs := validation.IsDNS1123Subdomain(m.Name); {
	case m.Name == "":
		c.problems.add("metadata.name", "is missing")
	case len(m.Name) > maxNameLen:
		c.problems.add("metadata.name", "has %d characters, at most %d are possible", len(m.Name), maxNameLen)
	case len(msgs) > 0:
		c.problems.add("metadata.name", "%q: %s", m.Name, msgs[0])
	}
	for _, k := range slices.Sorted(maps.Keys(m.Spec.NodeSelector)) {
		v := m.Spec.NodeSelector[k]
		if msgs := validation.IsQualifiedName(k); len(msgs) > 0 {
			c.problems.add("spec.nodeSelector", "%q: %s", k, msgs[0])
		}
		if msgs := validation.IsValidLabelValue(v); len(msgs) > 0 {
			c.problems.add("spec.nodeSelector", "%q: %s", v, msgs[0])
		}
	}
}

// layouts lays the schemas out; those of nil schemas are nil, and both are after a problem.
func (c *compiler) layouts(p part, keySchema, valueSchema *v1alpha1.Schema) (key, value *schema.Layout) {
	lay := func(path string, s *v1alpha1.Schema) *schema.Layout {
		if s == nil {
			return nil
		}
		l, err := schema.NewLinked(s, c.link)
		if err != nil {
			c.problems.addAt(path, err)
			return nil
		}
		return l
	}
	if c.problems.total > 0 {
		return nil, nil
	}
	return lay(p.path+".key", keySchema), lay(p.path+".value", valueSchema)
}

// link notes what an entry names. One more than the bound is enough to refuse them.
func (c *compiler) link(l v1alpha1.Reference) {
	if len(c.links) <= v1alpha1.MaxReferences {
		c.links[l] = true
	}
}

// sortedLinks are the links of all entries. Two whose symbols are the same can't be told apart.
func (c *compiler) sortedLinks(self revision.Key) []v1alpha1.Reference {
	links := slices.SortedFunc(maps.Keys(c.links), func(a, b v1alpha1.Reference) int {
		return cmp.Or(strings.Compare(string(a.Type), string(b.Type)), strings.Compare(a.Name, b.Name))
	})
	if len(links) > v1alpha1.MaxReferences {
		c.problems.add("spec.entries", "reference more than %d interfaces, maps, programs and cgroups, at most %d are allowed", v1alpha1.MaxReferences, v1alpha1.MaxReferences)
		return nil
	}
	bySymbol := map[uint32]v1alpha1.Reference{}
	for _, l := range links {
		if l.Type == v1alpha1.TypeMapRef && l.Name == self.Name {
			c.problems.add("spec.entries", "reference the map itself (%s): a map can't hold itself", l.Name)
		}
		symbol := schema.Symbol(l)
		other, taken := bySymbol[symbol]
		switch {
		case taken && isSensitive(c.spec):
			c.problems.add("spec.entries", "two names in the entries have the same symbol %08x: rename one of them", symbol)
		case taken:
			c.problems.add("spec.entries", "%s %q and %s %q have the same symbol %08x: rename one of them", other.Type, other.Name, l.Type, l.Name, symbol)
		}
		bySymbol[symbol] = l
	}
	return links
}

// policy is the policies with their defaults.
func (c *compiler) policy() revision.Policy {
	s := c.spec
	c.oneOf("spec.conflictPolicy", string(c.conflictPolicy()), string(v1alpha1.ConflictFail), string(v1alpha1.ConflictFirst), string(v1alpha1.ConflictLast))
	p := revision.Policy{Sync: s.SyncPolicy, Drift: s.DriftPolicy, Replace: s.ReplacePolicy, Adoption: s.AdoptionPolicy, Deletion: s.DeletionPolicy, Freeze: s.Freeze}
	t := traitsOf(s.Type)
	switch {
	case p.Sync == "" && t != nil && isSeedOnly(t):
		p.Sync = v1alpha1.SyncSeed
	case p.Sync == "":
		p.Sync = v1alpha1.SyncMerge
	case t == nil: // shape says that there is no such type
	case t.Runtime && p.Sync != v1alpha1.SyncSeed:
		c.problems.add("spec.syncPolicy", "%s: the elements of a %s are created at run time (only Seed is possible)", p.Sync, s.Type)
	case isSeedOnly(t) && p.Sync != v1alpha1.SyncSeed:
		c.problems.add("spec.syncPolicy", "%s: a %s can only be seeded (Seed), its contents can't be compared without consuming them", p.Sync, s.Type)
	case isUnlisted(t) && p.Sync == v1alpha1.SyncMirror:
		c.problems.add("spec.syncPolicy", "%s: a %s cannot be listed, so Mirror is not possible (Merge and Seed are)", p.Sync, s.Type)
	}
	if p.Drift == "" {
		p.Drift = v1alpha1.DriftRepair
	}
	if p.Replace == "" {
		p.Replace = v1alpha1.ReplaceNever
	}
	c.oneOf("spec.syncPolicy", string(p.Sync), string(v1alpha1.SyncSeed), string(v1alpha1.SyncMerge), string(v1alpha1.SyncMirror))
	c.oneOf("spec.driftPolicy", string(p.Drift), string(v1alpha1.DriftRepair), string(v1alpha1.DriftReport))
	c.oneOf("spec.replacePolicy", string(p.Replace), string(v1alpha1.ReplaceNever), string(v1alpha1.ReplaceSwap))
	if p.Adoption != "" {
		c.oneOf("spec.adoptionPolicy", string(p.Adoption), string(v1alpha1.AdoptionNever), string(v1alpha1.AdoptionAdopt), string(v1alpha1.AdoptionDiscard))
	}
	if p.Deletion != "" {
		c.oneOf("spec.deletionPolicy", string(p.Deletion), string(v1alpha1.DeletionDelete), string(v1alpha1.DeletionRetain), string(v1alpha1.DeletionGiveBack))
	}
	return p
}

func (c *compiler) oneOf(path, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		c.problems.add(path, "invalid value %q: must be one of %s", value, strings.Join(allowed, ", "))
	}
}
