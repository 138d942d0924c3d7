// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/fetch"
	"github.com/bpfmap-io/bpfmap-operator/internal/manifest"
)

// followed are http sources that are fetched again and again, each at its interval.
type followed struct {
	fetcher *fetch.Fetcher
	offline bool
	// temporary says that the folder of what was fetched goes with the process.
	temporary bool
	changes   chan struct{}
	objects   atomic.Pointer[[]manifest.Source]
	// wanted are the documents that manifests name, by their IDs; used is what of them is in use.
	wanted  map[string]fetch.Spec
	readers map[types.NamespacedName]bool
	used    map[string]string
	running sync.WaitGroup
}

// follow begins to fetch what will be wanted; end ends it. log is called with what nobody else is told of.
func follow(ctx context.Context, flags *watchFlags, offline bool, log func(error)) (f *followed, end func()) {
	f = &followed{offline: offline, temporary: flags.cacheDir == "", changes: make(chan struct{}, 1), used: map[string]string{}}
	f.objects.Store(&[]manifest.Source{})
	f.fetcher = fetch.New(fetch.Settings{
		Client: newClient(f), Dir: flags.cacheDir, MaxBytes: fetch.DefaultSpool, MinInterval: flags.minInterval,
		Changed: func([]types.NamespacedName) { f.tell() }, Log: log,
	})
	ctx, cancel := context.WithCancel(ctx)
	f.running.Go(func() { _ = f.fetcher.Run(ctx) }) // it ends with ctx, and without an error
	return f, func() {
		cancel()
		f.running.Wait()
		if f.temporary && f.fetcher.Dir != "" {
			_ = os.RemoveAll(f.fetcher.Dir) // nobody is left to tell
		}
	}
}

func (f *followed) tell() {
	select {
	case f.changes <- struct{}{}:
	default: // it was told
	}
}

// want says which manifests there are from now on, with the Secrets and ConfigMaps for fetching their sources.
func (f *followed) want(all []manifest.Manifest, sources []manifest.Source) {
	f.objects.Store(&sources)
	f.wanted = map[string]fetch.Spec{}
	before := f.readers
	f.readers = map[types.NamespacedName]bool{}
	for i := range all {
		m := all[i].Map
		var specs []fetch.Spec
		token := m.Annotations[v1alpha1.AnnotationFetchRequestedAt]
		for i := range m.Spec.EntriesFrom {
			spec, ok := fetch.SpecOf(m.Namespace, &m.Spec.EntriesFrom[i])
			if !ok || f.offline || spec.HTTP == nil || f.fetcher.Client.Check(spec) != nil {
				continue
			}
			specs = append(specs, spec)
			f.wanted[spec.ID()] = spec
			for _, ref := range spec.References() {
				token += "\n" + dataDigest(manifests{sources}.data(ref[0], m.Namespace, ref[1]))
			}
		}
		name := types.NamespacedName{Namespace: m.Namespace, Name: m.Name}
		f.readers[name] = true
		f.fetcher.Want(name, specs, token)
	}
	for name := range before {
		if !f.readers[name] {
			f.fetcher.Want(name, nil, "")
		}
	}
}

// get is what was fetched of a document last.
func (f *followed) get(_ *objects, spec fetch.Spec) (compile.Object, error) {
	if f.offline {
		return nil, errOffline
	}
	return f.fetcher.Object(spec)
}

// versions are what is there of each document.
func (f *followed) versions() map[string]string {
	all := make(map[string]string, len(f.wanted))
	for id := range f.wanted {
		state, err := f.fetcher.State(id)
		all[id] = fmt.Sprint(state.Meta.Digest, state.Since.UnixNano(), err)
	}
	return all
}

// stale says of each document whose contents are in use why there are no newer ones; it is empty for the others.
func (f *followed) stale() map[string]string {
	all := make(map[string]string, len(f.wanted))
	for id, spec := range f.wanted {
		state, err := f.fetcher.State(id)
		if all[id] = ""; err == nil && state.Ready() && state.Failure != "" {
			all[id] = fmt.Sprintf("%s could not be fetched since %s: %s; the last good contents of %s are in use",
				spec.Name(), state.Since.UTC().Format(time.RFC3339), state.Failure, state.Good.UTC().Format(time.RFC3339))
		}
	}
	return all
}

// Data are the data of a Secret or ConfigMap among the manifests that were read last.
func (f *followed) Data(ctx context.Context, kind, namespace, name string) (map[string][]byte, error) {
	return manifests{*f.objects.Load()}.Data(ctx, kind, namespace, name)
}

// Artifact is never asked for.
func (f *followed) Artifact(ctx context.Context, namespace, kind, name string) (fetch.Artifact, error) {
	return manifests{}.Artifact(ctx, namespace, kind, name)
}
