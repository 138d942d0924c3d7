// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/filewatch"
	"github.com/bpfmap-io/bpfmap-operator/internal/manifest"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

const (
	// settle is how long all files have to stay as they are before they are read, and settleMost how long that is
	// waited for: files that change all the time, and those that are open for writing, are left out then.
	settle     = 500 * time.Millisecond
	settleMost = 5 * time.Second
	// busyMost is how long a file may be left out. Then it is read as it is.
	busyMost = 5 * time.Minute
	// maxReads bounds how often everything is read again because it changed meanwhile.
	maxReads = 4
	// maxWatchedFiles bounds the files that are looked at.
	maxWatchedFiles = 10_000
)

// look looks at all files, and watches where they are.
func (w *watching) look() filewatch.Look {
	files, folders := manifest.Files(w.in.options(w.c))
	files = slices.Concat(files, w.in.documents.paths(), w.sources)
	slices.Sort(files)
	files = slices.Compact(files)
	var err error
	if len(files) > maxWatchedFiles {
		err = fmt.Errorf("there are %d files, and at most %d are watched: the others are read when one of these changes", len(files), maxWatchedFiles)
		files = files[:maxWatchedFiles]
	}
	err = errors.Join(err, w.files.Follow(files, folders))
	w.lookAt = time.Now().Add(lookEvery)
	line := ""
	if err != nil {
		w.lookAt = time.Now().Add(unwatchedEvery)
		line = fmt.Sprintf("Changes of files may not be told, and they are looked at every %s: %v", unwatchedEvery, err)
	}
	if len(w.busy) > 0 {
		w.lookAt = time.Now().Add(busyEvery)
	}
	w.say.note("files", line, "Changes of files are told again")
	return filewatch.At(files)
}

// isDue says whether something else may come out of compiling than the last time.
func (w *watching) isDue(ctx context.Context) bool {
	for id, line := range w.remote.stale() {
		w.say.note(id, line, w.remote.wanted[id].Name()+" was fetched again")
	}
	now := time.Now()
	for _, k := range w.kept {
		if !k.next.IsZero() && !now.Before(k.next) {
			return true
		}
	}
	changed := w.look().Since(w.seen)
	for p, since := range w.busy {
		if !slices.Contains(changed, p) && (!filewatch.BeingWritten(p) || now.Sub(since) > busyMost) {
			return true
		}
	}
	others := slices.DeleteFunc(changed, func(p string) bool { return !w.busy[p].IsZero() && filewatch.BeingWritten(p) })
	return ctx.Err() == nil && (len(others) > 0 || !maps.Equal(w.news, w.remote.versions()))
}

// settled waits until the files have stayed as they are for a while. Those that don't are busy, and aren't waited for
// the next time.
func (w *watching) settled(ctx context.Context) filewatch.Look {
	look := w.look()
	touched := map[string]bool{}
	for _, p := range slices.Concat(look.Since(w.seen), slices.Collect(maps.Keys(w.busy))) {
		touched[p] = true
	}
	var unsettled []string
	for end := time.Now().Add(settleMost); pause(ctx, settle); {
		next := w.look()
		changed := next.Since(look)
		look = next
		for _, p := range changed {
			touched[p] = true
		}
		unsettled = slices.DeleteFunc(slices.Collect(maps.Keys(touched)), func(p string) bool {
			return !look.Exists(p) || !slices.Contains(changed, p) && !filewatch.BeingWritten(p)
		})
		isNew := func(p string) bool { return w.busy[p].IsZero() }
		if !slices.ContainsFunc(changed, isNew) && !slices.ContainsFunc(unsettled, isNew) || time.Now().After(end) {
			break
		}
	}
	w.withhold(unsettled)
	return look
}

// withhold leaves files out that are being written to, but not for ever.
func (w *watching) withhold(files []string) {
	before := w.busy
	w.busy = map[string]time.Time{}
	for _, p := range files {
		began := before[p]
		if began.IsZero() {
			began = time.Now()
		}
		if time.Since(began) <= busyMost {
			w.busy[p] = began
		}
	}
}

// take reads everything and decides what the maps are to hold.
func (w *watching) take(ctx context.Context) {
	for reads := 1; ; reads++ {
		look := w.settled(ctx)
		if ctx.Err() != nil {
			return
		}
		news := w.remote.versions()
		in := w.readUntil(ctx)
		if in == nil {
			return
		}
		changed := slices.DeleteFunc(w.look().Since(look), func(p string) bool { return !w.busy[p].IsZero() })
		if len(changed) == 0 || reads == maxReads {
			w.seen, w.news = look, news
			w.accept(in)
			return
		}
	}
}

// intake is what one reading of everything brought.
type intake struct {
	// fresh are the maps that could be compiled, and order their keys.
	fresh map[revision.Key]*kept
	order []revision.Key
	// held are the names of maps whose manifests can't be used, "namespace/name", and groups the groups that manifests
	// name for them.
	held   map[string]bool
	groups map[string]string
	// broken are files and folders that can't be read as a whole.
	broken map[string]bool
	wrong  []string
}

func (in *intake) add(problems ...manifest.Problem) {
	for _, p := range problems {
		in.wrong = append(in.wrong, "Error: "+p.Error())
		if p.Object != "" {
			in.held[p.Object] = true
		} else {
			in.broken[filepath.Clean(p.Place.File)] = true
		}
	}
}

// readUntil is read, or nil if ctx ends. Compiling a large map takes seconds and can't be cut off; it changes nothing, so
// that it may be left alone when the process ends.
func (w *watching) readUntil(ctx context.Context) *intake {
	done := make(chan *intake, 1)
	go func() { done <- w.read(ctx) }()
	select {
	case in := <-done:
		return in
	case <-ctx.Done():
		return nil
	}
}

// read reads and compiles everything. It prints nothing.
func (w *watching) read(ctx context.Context) *intake {
	in := &intake{fresh: map[revision.Key]*kept{}, held: map[string]bool{}, groups: map[string]string{}, broken: map[string]bool{}}
	o := w.in.options(w.c)
	o.Watched = true
	set := manifest.Read(o)
	from := &documents{remote: w.remote, versions: true, withheld: map[string]error{}}
	for p, since := range w.busy {
		from.withheld[p] = fmt.Errorf("%s has been written to since %s: it is read once that has ended, or after %s", p, since.UTC().Format(time.RFC3339), busyMost)
	}
	given, err := w.in.documents.configMaps(cmp.Or(w.in.namespace, defaultNamespace), from.read)
	if err != nil { // the flags were checked
		in.wrong = append(in.wrong, "Error: "+err.Error())
		return in
	}
	from.broken = given.broken
	in.withhold(&set, from)
	in.add(set.Problems...)
	for _, s := range set.Skipped {
		in.wrong = append(in.wrong, fmt.Sprintf("Skipped: %s: %s is not a BPFMap", s.Place, s.Object))
	}
	set.Sources = append(given.all, set.Sources...) // the first of a name is found
	named := set.Manifests
	for _, k := range w.kept {
		if in.isHeld(k) {
			named = append(named, k.Manifest)
		}
	}
	w.sources = fileSources(named)
	w.remote.want(named, set.Sources)
	for i := range set.Manifests {
		if ctx.Err() != nil {
			break
		}
		w.compile(in, &set.Manifests[i], set.Sources, from)
	}
	return in
}

// withhold takes out what is in files that are being written to.
func (in *intake) withhold(set *manifest.Set, from *documents) {
	if len(from.withheld) == 0 {
		return
	}
	is := func(p manifest.Place) bool { return from.withheld[p.File] != nil }
	said := map[string]bool{}
	hold := func(p manifest.Place) {
		if in.broken[filepath.Clean(p.File)] = true; !said[p.File] {
			in.wrong = append(in.wrong, "Waiting: "+from.withheld[p.File].Error())
			said[p.File] = true
		}
	}
	set.Problems = slices.DeleteFunc(set.Problems, func(p manifest.Problem) bool {
		if is(p.Place) {
			hold(p.Place)
		}
		return is(p.Place)
	})
	set.Manifests = slices.DeleteFunc(set.Manifests, func(m manifest.Manifest) bool {
		if is(m.Place) {
			hold(m.Place)
		}
		return is(m.Place)
	})
	set.Sources = slices.DeleteFunc(set.Sources, func(s manifest.Source) bool {
		if is(s.Place) {
			hold(s.Place)
			from.broken[s.Kind+" "+s.Namespace+"/"+s.Name] = from.withheld[s.Place.File]
		}
		return is(s.Place)
	})
}

// fileSources are the files that manifests name.
func fileSources(all []manifest.Manifest) []string {
	var files []string
	for i := range all {
		for _, from := range all[i].Map.Spec.EntriesFrom {
			if from.File != nil {
				files = append(files, filePath(all[i].Folder(), from.File))
			}
		}
	}
	return files
}

// compile compiles one manifest.
func (w *watching) compile(in *intake, m *manifest.Manifest, sources []manifest.Source, from *documents) {
	if g := m.Map.Spec.Group; g != "" {
		in.groups[m.Name()] = m.Map.Namespace + "/" + g
	}
	if len(in.broken) > 0 && slices.ContainsFunc(m.Map.Spec.EntriesFrom, func(f v1alpha1.EntrySource) bool { return f.ConfigMapSelector != nil }) {
		in.add(manifest.Problem{
			Place: m.At("spec.entriesFrom"), Object: m.Name(), Path: "spec.entriesFrom",
			Message: "selects ConfigMaps by labels, and some may be in " + slices.Sorted(maps.Keys(in.broken))[0] + ", which can't be read",
		})
		return
	}
	if refused := lifetimes(m); len(refused) > 0 {
		in.add(refused...)
		return
	}
	key := revision.Key{Namespace: m.Map.Namespace, Name: m.Map.Name}
	found, err := compile.Gather(&m.Map.Spec, objects{m.Map.Namespace, sources, m.Folder(), from})
	if err != nil {
		in.add(problemsOf(m, err)...)
		return
	}
	input := compile.Input{Sources: found, Cache: w.cache, Now: time.Now()}
	if was := w.kept[key]; was != nil {
		input.InUse = &compile.InUse{Sources: statuses(was.sources), Contents: func() (*revision.Revision, error) { return was.rev, nil }}
	}
	result, err := compile.Run(m.Map, input)
	for _, n := range leftOut(m, result.Sources) {
		in.wrong = append(in.wrong, fmt.Sprintf("%s: %s: %s", n.Object, n.Path, n.Message))
	}
	if err != nil {
		in.add(problemsOf(m, err)...)
		return
	}
	in.fresh[key] = &kept{declared: declared{*m, result.Revision, result.Sources}, next: result.NextChange}
	in.order = append(in.order, key)
}

// statuses are what compile is told of sources whose contents are in use.
func statuses(reports []compile.SourceReport) []v1alpha1.SourceStatus {
	all := make([]v1alpha1.SourceStatus, len(reports))
	for i := range reports {
		r := &reports[i]
		all[i] = v1alpha1.SourceStatus{Index: int32(r.Index), Name: r.Name, Digest: r.Digest, Entries: r.Entries}
	}
	return all
}

// isHeld says whether the manifest of a map, or the file that it was in, can't be used.
func (in *intake) isHeld(k *kept) bool {
	if in.held[k.Name()] {
		return true
	}
	for at := filepath.Clean(k.Place.File); ; at = filepath.Dir(at) {
		if in.broken[at] {
			return true
		}
		if at == filepath.Dir(at) {
			return false
		}
	}
}
