// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/element"
	served "github.com/bpfmap-io/bpfmap-operator/internal/contents"
	"github.com/bpfmap-io/bpfmap-operator/internal/manifest"
	"github.com/bpfmap-io/bpfmap-operator/internal/mounts"
	"github.com/bpfmap-io/bpfmap-operator/internal/ownership"
	"github.com/bpfmap-io/bpfmap-operator/internal/pinstore"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Live reads the maps of this machine for an agent, and writes them as the commands of this package do.
type Live struct {
	node  string
	root  mounts.Root
	bpffs string // on the node
	here  string // where this process finds it
	// planner is nil while the node isn't ready.
	planner func() Planner
}

// Planner says what has to be changed; an engine is one.
type Planner interface {
	Plan(ctx context.Context, rev *revision.Revision) (plan.Plan, error)
}

// NewLive makes the reader of a node's maps. bpffs is a path of the node, whose file system is found in root. planner is
// asked for each plan, and may be nil or return nil.
func NewLive(node string, root mounts.Root, bpffs string, planner func() Planner) *Live {
	return &Live{node: node, root: root, bpffs: filepath.Clean(bpffs), here: root.Here(filepath.Clean(bpffs)), planner: planner}
}

func (l *Live) store() *pinstore.Store {
	return pinstore.New(l.here, pinstore.Options{ShownAs: l.bpffs})
}

// Open opens the map that a question is about.
func (l *Live) Open(_ context.Context, q *served.Question) (served.Map, error) {
	if q.Pin != "" {
		return l.pinned(q.Pin)
	}
	record, err := l.store().LoadRecord(q.Key)
	if err != nil {
		return nil, fmt.Errorf("look for the map of BPFMap %s: %w", q.Key, err)
	}
	if record == nil {
		return nil, l.none(q)
	}
	m, err := l.store().KeepAlive(q.Key)
	if err != nil {
		return nil, fmt.Errorf("open the map of BPFMap %s: %w", q.Key, err)
	}
	if m == nil {
		return nil, l.none(q)
	}
	return l.opened(m, record, record.Pin.Path, served.Owner{Key: q.Key, Sensitive: record.Sensitive}), nil
}

func (l *Live) none(q *served.Question) error {
	return fmt.Errorf("%w (%s): %s isn't there", served.ErrNotFound, l.node, q.Subject())
}

// pinned opens any map at a pin that could be a BPFMap's. No link is followed on the way.
func (l *Live) pinned(pin string) (served.Map, error) {
	rel, below := strings.CutPrefix(pin, l.bpffs+"/")
	if !below {
		return nil, fmt.Errorf("%w: pin %s is not below %s, where the agent has its BPF file system", served.ErrInvalid, pin, l.bpffs)
	}
	if err := revision.CheckPinPath(rel); err != nil {
		return nil, fmt.Errorf("%w: pin %s: the path %w", served.ErrInvalid, pin, err)
	}
	m, err := l.store().Pinned(rel)
	switch {
	case errors.Is(err, pinstore.ErrOccupied):
		return nil, fmt.Errorf("%w: pin %s: %w", served.ErrInvalid, pin, err)
	case err != nil:
		return nil, fmt.Errorf("open pin: %w", err)
	case m == nil:
		return nil, l.none(&served.Question{Pin: pin})
	}
	record, owner, err := l.ownerAt(m, rel)
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return l.opened(m, record, rel, owner), nil
}

// ownerAt says whose the contents of a map at a pin are: those of the BPFMap that it belongs to, with its record, or of
// one that gave it up. Below the directory of pins others may have made the map; its path says whose it would be.
func (l *Live) ownerAt(m *bpf.Map, rel string) (*ownership.Record, served.Owner, error) {
	info, err := m.Info()
	if err != nil {
		return nil, served.Owner{}, err
	}
	records, err := l.store().Records()
	if err != nil {
		return nil, served.Owner{}, fmt.Errorf("look whose the map is: %w", err)
	}
	for i := range records {
		r := &records[i]
		if r.MapID == info.ID {
			return r, served.Owner{Key: r.Key, Sensitive: r.Sensitive}, nil
		}
		if r.PreviousMapID == info.ID || slices.Contains(r.Replaced, info.ID) || slices.Contains(r.EarlierMaps, info.ID) {
			return nil, served.Owner{Key: r.Key, Sensitive: true}, nil // of contents before, nobody remembers where they came from
		}
	}
	left, err := l.store().Left()
	if err != nil {
		return nil, served.Owner{}, err
	}
	owner := served.Owner{Sensitive: left[info.ID]}
	if below, ok := strings.CutPrefix(rel, revision.PinRoot+"/"); ok {
		namespace, name, _ := strings.Cut(below, "/")
		owner.Key = revision.Key{Namespace: namespace, Name: strings.ReplaceAll(name, "/", "_")}
	}
	return nil, owner, nil
}

func (l *Live) opened(m *bpf.Map, record *ownership.Record, rel string, owner served.Owner) *liveMap {
	o := &liveMap{Map: m, live: l, record: record, rel: rel, owner: owner}
	o.target = namedTarget{target: target{pin: filepath.Join(l.here, rel), bpffs: l.here}}
	if record != nil {
		o.target.name = record.Key.String()
		o.target.schemas = schemas{record.KeySchema, &record.ValueSchema}
	}
	return o
}

// Plan is what has to be changed to bring a map to a revision.
func (l *Live) Plan(ctx context.Context, rev *revision.Revision) (*served.Planned, error) {
	var p Planner
	if l.planner != nil {
		p = l.planner()
	}
	if p == nil {
		return nil, fmt.Errorf("%w: maps can't be managed on node %s at the moment: see the condition HostReady of its BPFNodeState", served.ErrUnavailable, l.node)
	}
	decided, err := p.Plan(ctx, rev)
	if err != nil {
		return nil, err
	}
	f, err := formattersOf(declared{rev: rev}, &decided)
	if err != nil {
		return nil, err
	}
	return &served.Planned{Revision: rev.Name, InSync: decided.IsEmpty(), Text: decided.Text(f.key, f.value)}, nil
}

// liveMap is a map that a question is about.
type liveMap struct {
	*bpf.Map
	live   *Live
	record *ownership.Record // nil for a map that isn't managed
	rel    string            // the pin's path in the BPF file system
	owner  served.Owner
	target namedTarget
}

// Owner says whose contents these are.
func (m *liveMap) Owner() served.Owner { return m.owner }

// Elements writes all elements as the command dump does.
func (m *liveMap) Elements(ctx context.Context, q *served.Question, out io.Writer) error {
	d := dumper{output: q.Format, nonzero: q.NonZero, declared: q.Declared, node: m.live.node}
	return m.explain(d.dump(ctx, out, m.target, m.Map, func() {}))
}

// Element writes the value of one key as the command map lookup does.
func (m *liveMap) Element(_ context.Context, q *served.Question, out io.Writer) error {
	op := operation{Map: m.Map, value: make([]byte, m.ValueStride())}
	var err error
	if op.Typing, err = typingOf(m.Map, m.target.schemas, m.target.bpffs); err != nil {
		return m.explain(err)
	}
	nameLinks(&op.Typing, m.target.bpffs)
	f := elementFlags{key: q.Parts}
	if op.key, err = f.parseKey(m.Map, op.Typing); err != nil {
		return fmt.Errorf("%w: key: %w", served.ErrInvalid, err)
	}
	if err := op.needKey(); err != nil {
		return fmt.Errorf("%w: a key is required", served.ErrInvalid)
	}
	if err := op.LookupElemFlags(op.key, op.value, 0); err != nil {
		if errors.Is(err, bpf.ErrNotExist) {
			return fmt.Errorf("%w: no element %s is in the map on node %s", served.ErrNotFound, strings.Join(q.Parts, " "), m.live.node)
		}
		return m.explain(err)
	}
	return writeValue(out, op, q.Format)
}

// writeValue writes a value in a line.
func writeValue(out io.Writer, op operation, format string) error {
	t := op.Typing
	var line []byte
	switch format {
	case string(element.JSON):
		line = t.AppendEntry(nil, op.key, op.value)
	case string(element.Hex):
		line = t.Untyped().AppendValueText(nil, op.value)
	default:
		line = t.AppendValueText(nil, op.value)
	}
	_, err := fmt.Fprintf(out, "%s\n", line)
	return err
}

// Summary reads all elements for a digest.
func (m *liveMap) Summary(ctx context.Context, q *served.Question) (*served.Summary, error) {
	info, err := m.Info()
	if err != nil {
		return nil, err
	}
	more, err := m.FDInfo()
	if err != nil {
		return nil, err
	}
	typing, err := typingOf(m.Map, m.target.schemas, m.target.bpffs)
	if err != nil {
		return nil, m.explain(err)
	}
	nameLinks(&typing, m.target.bpffs)
	sum, line := served.NewSummer(q.Salt), []byte(nil)
	d := dumper{output: string(element.JSON), declared: q.Declared} // for keys as manifests have them
	d.leaveOut(&typing)
	it := m.Iterate(ctx, bpf.IterateOptions{})
	for it.Next() {
		for i := range it.Len() {
			key, value := elementOf(it, m.Map, i)
			d.mask(value)
			line = typing.AppendEntry(line[:0], d.canonical(m.Map, key), value)
			sum.Add(line)
		}
	}
	if err := it.Err(); err != nil {
		return nil, m.explain(err)
	}
	s := &served.Summary{
		Node: m.live.node, MapID: info.ID, Type: info.Type.String(), KeySize: info.KeySize, ValueSize: info.ValueSize,
		MaxEntries: info.MaxEntries, Frozen: more.Frozen, Pin: filepath.Join(m.live.bpffs, m.rel),
		Entries: sum.Len(), Digest: sum.String(), Complete: it.Complete(),
	}
	if info.Flags != 0 {
		s.Flags = strings.Split(info.Flags.String(), "|")
	}
	if m.record != nil {
		s.Revision = m.record.Revision
	}
	return s, nil
}

// Manifest writes the map as the command generate does.
func (m *liveMap) Manifest(ctx context.Context, q *served.Question, out io.Writer) error {
	g := generator{namespace: q.Into, live: liveGenerator{
		target: m.target.target, name: q.As, entries: q.Entries, limit: cmp.Or(q.Limit, served.MaxLimit),
	}}
	doc, err := g.liveDocument(ctx, m.Map)
	if err != nil {
		return m.explain(err)
	}
	doc.Comments = append([]string{"Read from node " + m.live.node + "."}, doc.Comments...)
	return manifest.Write(out, []manifest.Document{*doc})
}

// explain marks errors that don't go away.
func (m *liveMap) explain(err error) error {
	if errors.Is(err, bpf.ErrNotSupported) {
		return fmt.Errorf("%w: %w", served.ErrInvalid, err)
	}
	return err
}
