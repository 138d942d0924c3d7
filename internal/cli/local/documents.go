// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/fetch"
	"github.com/bpfmap-io/bpfmap-operator/internal/manifest"
	"github.com/bpfmap-io/bpfmap-operator/internal/source"
)

// documentFlags say where the contents of sources come from that aren't among the manifests.
type documentFlags struct {
	offline   bool
	fromFiles []string
	// missing is what is done about sources that can't be had here: missingError, or empty, or missingIgnore.
	missing string
}

// The values of --missing-sources.
const (
	missingError  = "error"
	missingIgnore = "ignore"
)

func (f *documentFlags) add(c *cobra.Command) {
	c.Flags().BoolVar(&f.offline, "offline", false, "fetch nothing: a manifest with an http source is an error")
	c.Flags().StringArrayVar(&f.fromFiles, "from-file", nil,
		"NAME=PATH: a local file as the ConfigMap NAME, with the file's name as its key, instead of one among the manifests (repeatable)")
}

// given are the ConfigMaps of --from-file.
type given struct {
	all []manifest.Source
	// broken are those with a file that can't be read, by "ConfigMap namespace/name".
	broken map[string]error
}

// err is why some can't be read.
func (g *given) err() error {
	for _, name := range slices.Sorted(maps.Keys(g.broken)) {
		return g.broken[name]
	}
	return nil
}

// configMaps are those of --from-file, in a namespace. The error is one of the flags.
func (f *documentFlags) configMaps(namespace string, read func(path string) ([]byte, error)) (*given, error) {
	g := &given{broken: map[string]error{}}
	for _, arg := range f.fromFiles {
		name, path, ok := strings.Cut(arg, "=")
		if !ok || name == "" || path == "" {
			return nil, fmt.Errorf("--from-file %s: must be NAME=PATH", arg)
		}
		data, err := read(path)
		if err != nil {
			g.broken["ConfigMap "+namespace+"/"+name] = fmt.Errorf("--from-file %s: %w", arg, err)
			continue
		}
		i := slices.IndexFunc(g.all, func(s manifest.Source) bool { return s.Name == name }) // one ConfigMap of several files
		if i < 0 {
			i = len(g.all)
			g.all = append(g.all, manifest.Source{Kind: "ConfigMap", Namespace: namespace, Name: name, Data: map[string][]byte{}})
		}
		g.all[i].Data[filepath.Base(path)] = data
	}
	return g, nil
}

// paths are the files of --from-file.
func (f *documentFlags) paths() []string {
	var all []string
	for _, arg := range f.fromFiles {
		if _, path, ok := strings.Cut(arg, "="); ok {
			all = append(all, path)
		}
	}
	return all
}

// readSource reads a local file within the bound of a source.
func readSource(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	case info.Size() > source.MaxBytes:
		return nil, fmt.Errorf("%s has %d bytes, at most %d are possible", path, info.Size(), source.MaxBytes)
	}
	data, err := os.ReadFile(path)
	if data == nil {
		data = []byte{}
	}
	return data, err
}

// documents are where the contents of sources come from that aren't in manifests.
type documents struct {
	// remote are http sources.
	remote remote
	// broken are ConfigMaps and Secrets that can't be read, by "kind namespace/name".
	broken map[string]error
	// withheld are files that aren't to be read now, with the reasons.
	withheld map[string]error
	// versions says that local sources have versions: the digests of their data.
	versions bool
}

// remote brings the document of an http source, as compile.Objects says.
type remote interface {
	get(o *objects, spec fetch.Spec) (compile.Object, error)
}

// read reads a local file.
func (d *documents) read(path string) ([]byte, error) {
	if err := d.withheld[path]; err != nil {
		return nil, err
	}
	return readSource(path)
}

// filePath is where the file of a manifest in a folder is.
func filePath(folder string, from *v1alpha1.FileSource) string {
	if filepath.IsAbs(from.Path) {
		return from.Path
	}
	return filepath.Join(folder, from.Path)
}

// file is a file source of a manifest.
func (o objects) file(from *v1alpha1.FileSource) (compile.Object, error) {
	data, err := o.documents.read(filePath(o.folder, from))
	if err != nil {
		return nil, &compile.MissingError{Message: err.Error()}
	}
	d := document{name: "file " + from.Path, text: data}
	if o.documents.versions {
		d.version = dataDigest(map[string][]byte{"": data})
	}
	return d, nil
}

// Fetch is the document of a source that isn't among the manifests.
func (o objects) Fetch(from *v1alpha1.EntrySource) (compile.Object, error) {
	spec, ok := fetch.SpecOf(o.namespace, from)
	switch {
	case !ok:
		return o.file(from.File)
	case spec.Artifact != nil:
		return nil, &compile.MissingError{Message: "artifacts are known to a cluster alone: give the file by file or --from-file"}
	}
	return o.documents.remote.get(&o, spec)
}

// fetchedOnce fetches each document once, with the rights of the caller: from any host, by the proxy of the
// environment, within the bounds of the controller.
type fetchedOnce struct {
	ctx     context.Context // that of the command, which compiles everything before it does anything
	offline bool
	known   map[string]fetchedText
}

type fetchedText struct {
	meta fetch.Meta
	text []byte
	err  error
}

// errOffline is that of an http source with --offline.
var errOffline = &compile.MissingError{Message: "is not fetched with --offline"}

func (f *fetchedOnce) get(o *objects, spec fetch.Spec) (compile.Object, error) {
	if f.offline {
		return nil, errOffline
	}
	id := spec.ID() + o.namespace
	found, ok := f.known[id]
	if !ok {
		found = f.fetch(o.all, spec)
		f.known[id] = found
	}
	if found.err != nil {
		return nil, &compile.MissingError{Message: "could not be fetched: " + found.err.Error()}
	}
	return document{name: spec.Name(), version: found.meta.Digest, text: found.text}, nil
}

// fetch fetches a document.
func (f *fetchedOnce) fetch(all []manifest.Source, spec fetch.Spec) (got fetchedText) {
	dir, err := os.MkdirTemp("", "bpfmap-sources-")
	if err != nil {
		return fetchedText{err: err}
	}
	defer func() { got.err = errors.Join(got.err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "text")
	found, err := newClient(manifests{all}).Fetch(f.ctx, spec, nil, path)
	if err != nil {
		return fetchedText{err: err}
	}
	text, err := os.ReadFile(path)
	return fetchedText{found.Meta, text, err}
}

// newClient is a client with the rights of the caller.
func newClient(objects fetch.Objects) *fetch.Client {
	return &fetch.Client{Policy: fetch.Unbounded(), Limits: fetch.DefaultLimits(), UserAgent: "bpfmap", Environment: true, Objects: objects}
}

// document is one that was fetched or read.
type document struct {
	name, version string
	text          []byte
}

func (d document) Name() string                     { return d.name }
func (d document) Version() string                  { return d.version }
func (d document) Keys() ([]string, error)          { return []string{""}, nil }
func (d document) Data() (map[string][]byte, error) { return map[string][]byte{"": d.text}, nil }

// manifests are the Secrets and ConfigMaps that fetching needs.
type manifests struct{ all []manifest.Source }

// Data are the data of one; nil if it isn't there.
func (m manifests) Data(_ context.Context, kind, namespace, name string) (map[string][]byte, error) {
	return m.data(kind, namespace, name), nil
}

func (m manifests) data(kind, namespace, name string) map[string][]byte {
	for i := range m.all {
		if s := &m.all[i]; s.Kind == kind && s.Namespace == namespace && s.Name == name {
			return s.Data
		}
	}
	return nil
}

// Artifact is never asked for.
func (manifests) Artifact(context.Context, string, string, string) (fetch.Artifact, error) {
	return fetch.Artifact{}, errors.New("artifacts are known to a cluster alone")
}
