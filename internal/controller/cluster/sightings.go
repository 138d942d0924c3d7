// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/internal/sighting"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// seen is what is stored of when the sources of a BPFMap held their keys first: a chunk, the root, whose number counts
// up, and its parts. A root is never changed and written last, so the root of the highest number is whole, and of two
// controllers that go by the same one only one can write the next. Parts that it doesn't name are rests.
type seen struct {
	number uint64 // of the root, 0 for none
	parts  []sighting.Part
	table  sighting.Table
	// chunks are all that there are for the BPFMap, and next is the number of the next root.
	chunks []metadata
	next   uint64
	// lost says that a part is gone or altered, so that its keys are new again.
	lost bool
}

// seenReader reads it from the API server.
type seenReader func() (*seen, error)

// of is what is needed for a spec: nothing if no source has a lifetime.
func (read seenReader) of(spec *v1alpha1.BPFMapSpec) (*seen, error) {
	if !compile.HasLifetimes(spec) {
		return &seen{}, nil
	}
	return read()
}

// unstored are sightings that aren't stored yet.
type unstored struct {
	// before is what they follow; nil if only the outcome was remembered.
	before *seen
	table  sighting.Table
	bytes  int64
}

// unstoredOf compares what was seen with what is stored; it is nil if they are the same.
func unstoredOf(before *seen, now sighting.Table) *unstored {
	if slices.Equal(before.table, now) && !before.lost {
		return nil
	}
	return &unstored{before, now, now.Bytes()}
}

// outcome is what is remembered.
func (u *unstored) outcome() *unstored {
	if u == nil {
		return nil
	}
	return &unstored{bytes: u.bytes}
}

// isSighting says whether a chunk holds sightings.
func isSighting(o *metadata) bool { return o.Labels[v1alpha1.LabelSightings] != "" }

// rootName is the name of root number n of a BPFMap, and partName that of one of its parts.
func rootName(name string, n uint64) string { return fmt.Sprintf("%s-seen-%d", name, n) }

func partName(name string, p *sighting.Part) string {
	return fmt.Sprintf("%s-%x", rootName(name, p.Number), p.Digest)
}

// numberOf is the number in the name of a root or part; 0 if there is none.
func numberOf(name, chunk string) (n uint64, isRoot bool) {
	rest, ok := strings.CutPrefix(chunk, name+"-seen-")
	digits, _, isPart := strings.Cut(rest, "-")
	n, err := strconv.ParseUint(digits, 10, 63)
	if !ok || err != nil {
		return 0, false
	}
	return n, !isPart
}

// sees says whether sightings are to be stored.
func (s *scope) sees() bool { return s.want != nil && s.want.unstored != nil }

// withSightings is what is to be stored with what the sightings take more than those before.
func (s *scope) withSightings(want stored) stored {
	if !s.sees() {
		return want
	}
	more := s.want.unstored.bytes
	for i := range s.chunks {
		if isSighting(&s.chunks[i]) {
			more -= chunkSize(&s.chunks[i])
		}
	}
	want.chunks = append(slices.Clip(want.chunks), storedChunk{rootName(s.name.Name, 0), max(0, more)})
	return want
}

// missSightings has a BPFMap compiled anew if others deleted the root that it was compiled with: its keys are new again.
func (r *reconciler) missSightings(ctx context.Context, s *scope) error {
	n := r.compiled.seen(s.name)
	root := rootName(s.name.Name, n)
	if n == 0 || slices.ContainsFunc(s.chunks, func(o metadata) bool { return o.Name == root }) {
		return nil
	}
	there, err := r.liveMetadata(ctx, chunkKind, types.NamespacedName{Namespace: s.name.Namespace, Name: root}) // the cache may be behind
	if err != nil || there != nil {
		return err
	}
	r.loseSightings(s, &seen{}, root, "all keys", errGone)
	r.compiled.last.Remove(s.name)
	return nil
}

// seenBy reads the sightings of a BPFMap.
func (r *reconciler) seenBy(ctx context.Context, s *scope) seenReader {
	return func() (*seen, error) { return r.readSightings(ctx, s) }
}

func (r *reconciler) readSightings(ctx context.Context, s *scope) (*seen, error) {
	list := process.MetadataList(chunkKind)
	labels := client.MatchingLabels{v1alpha1.LabelSightings: "true", v1alpha1.LabelMap: v1alpha1.MapLabel(s.name.Name)}
	if err := r.live.List(ctx, list, client.InNamespace(s.name.Namespace), labels); err != nil {
		return nil, fmt.Errorf("list sightings of %s from the API server: %w", s.name, err)
	}
	found := &seen{}
	var highest uint64
	for i := range list.Items {
		o := &list.Items[i]
		n, isRoot := numberOf(s.name.Name, o.Name)
		if n == 0 || !metav1.IsControlledBy(o, s.m) { // long names may share the label
			continue
		}
		found.chunks, highest = append(found.chunks, *o), max(highest, n)
		if isRoot {
			found.number = max(found.number, n)
		}
	}
	if found.next = found.number + 1; found.number == 0 {
		found.next = highest + 1
		return found, nil
	}
	return found, r.readTable(ctx, s, found)
}

// readTable reads the root and its parts. Those that are gone or altered are told and taken for empty: waiting for them
// would stop the map for ever.
func (r *reconciler) readTable(ctx context.Context, s *scope, found *seen) error {
	name := rootName(s.name.Name, found.number)
	b, err := r.readChunk(ctx, s, name)
	if err != nil {
		return err
	}
	parts, table, err := sighting.Unpack(b)
	if err != nil {
		r.loseSightings(s, found, name, "all keys", err)
		return nil
	}
	found.table = table
	for i := range parts {
		name := partName(s.name.Name, &parts[i])
		b, err := r.readChunk(ctx, s, name)
		if err != nil {
			return err
		}
		records, err := parts[i].Read(b)
		if err != nil {
			r.loseSightings(s, found, name, text.Count(parts[i].Len, "key", "keys"), err)
			continue
		}
		found.parts = append(found.parts, parts[i])
		found.table = append(found.table, records...)
	}
	if !slices.IsSortedFunc(found.table, sighting.Compare) {
		r.loseSightings(s, found, name, "all keys", errors.New("its parts are out of order"))
		found.parts, found.table = nil, nil
	}
	return nil
}

// readChunk reads what a chunk holds; nothing if it is gone.
func (r *reconciler) readChunk(ctx context.Context, s *scope, name string) ([]byte, error) {
	var chunk v1alpha1.BPFMapChunk
	err := r.live.Get(ctx, types.NamespacedName{Namespace: s.name.Namespace, Name: name}, &chunk)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("read chunk %s: %w", name, err)
	}
	return chunk.Entries, nil
}

var errGone = errors.New("it is gone")

// loseSightings tells people that lifetimes begin anew.
func (r *reconciler) loseSightings(s *scope, found *seen, chunk, what string, err error) {
	found.lost = true
	process.Emit(r.events, s.m.ObjectMeta, process.Event{
		Type: corev1.EventTypeWarning, Reason: reasonSightingsLost, Action: actionCompile,
		Note: fmt.Sprintf("chunk %s was deleted or altered, so the lifetimes of %s begin anew: %v", chunk, what, err),
	})
}

// storeSightings stores what was seen, and deletes what it replaces.
func (r *reconciler) storeSightings(ctx context.Context, s *scope) error {
	if !s.sees() {
		return nil
	}
	if s.want.unstored.before == nil {
		if err := s.want.freshen(s.m, r.seenBy(ctx, s)); err != nil {
			return err
		}
	}
	u := s.want.unstored
	if u == nil { // it was stored meanwhile
		return nil
	}
	if err := r.confirm(ctx, s); err != nil {
		return err
	}
	if err := r.confirmSources(ctx, s); err != nil {
		return err
	}
	root, parts, fresh := u.table.Pack(u.before.next, u.before.parts)
	for i := range fresh {
		if err := r.createSightings(ctx, s, partName(s.name.Name, &fresh[i].Part), fresh[i].Len, fresh[i].Bytes); err != nil || s.rejected != nil {
			return err
		}
	}
	name := rootName(s.name.Name, u.before.next)
	if err := r.createSightings(ctx, s, name, len(u.table), root); err != nil || s.rejected != nil {
		return err
	}
	r.compiled.stored(s.name, u.before.next)
	s.want.unstored = nil
	needed := map[string]bool{name: true}
	for i := range parts {
		needed[partName(s.name.Name, &parts[i])] = true
	}
	return r.deleteChunks(ctx, slices.DeleteFunc(u.before.chunks, func(o metadata) bool {
		n, _ := numberOf(s.name.Name, o.Name)
		return needed[o.Name] || n > u.before.next // another controller's, which then knows more
	}))
}

// createSightings writes a root or a part. A part that is there is the same one; a root isn't.
func (r *reconciler) createSightings(ctx context.Context, s *scope, name string, count int, packed []byte) error {
	object := newChunk(s.m, name, count, packed)
	object.Labels = map[string]string{v1alpha1.LabelSightings: "true", v1alpha1.LabelMap: v1alpha1.MapLabel(s.name.Name)}
	err := r.client.Create(ctx, object)
	if apierrors.IsAlreadyExists(err) {
		if s.rejected, err = r.whoseChunk(ctx, s, name); s.rejected != nil {
			return nil
		}
		if _, isRoot := numberOf(s.name.Name, name); err == nil && isRoot {
			r.compiled.last.Remove(s.name)
			return staleCache("sightings %s exist already", name)
		}
	}
	if err != nil {
		return fmt.Errorf("create chunk %s: %w", name, err)
	}
	return nil
}
