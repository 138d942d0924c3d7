// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
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
}

func (f *documentFlags) add(c *cobra.Command) {
	c.Flags().BoolVar(&f.offline, "offline", false, "fetch nothing: a manifest with an http source is an error")
	c.Flags().StringArrayVar(&f.fromFiles, "from-file", nil,
		"NAME=PATH: a local file as the ConfigMap NAME, with the file's name as its key, instead of one among the manifests (repeatable)")
}

// configMaps are those of --from-file, in a namespace.
func (f *documentFlags) configMaps(namespace string) ([]manifest.Source, error) {
	var all []manifest.Source
	for _, arg := range f.fromFiles {
		name, path, ok := strings.Cut(arg, "=")
		if !ok || name == "" || path == "" {
			return nil, fmt.Errorf("--from-file %s: must be NAME=PATH", arg)
		}
		data, err := readSource(path)
		if err != nil {
			return nil, fmt.Errorf("--from-file %s: %w", arg, err)
		}
		key := filepath.Base(path)
		for i := range all {
			if all[i].Name == name { // one ConfigMap of several files
				all[i].Data[key], data = data, nil
			}
		}
		if data != nil {
			all = append(all, manifest.Source{Kind: "ConfigMap", Namespace: namespace, Name: name, Data: map[string][]byte{key: data}})
		}
	}
	return all, nil
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

// documents fetches what manifests name, each document once, with the rights of the caller: to any host, by the
// proxy of the environment, within the bounds of the controller.
type documents struct {
	ctx     context.Context // that of the command, which compiles everything before it does anything
	offline bool
	known   map[string]fetchedText
}

type fetchedText struct {
	meta fetch.Meta
	text []byte
	err  error
}

// file is a file source of a manifest.
func (o objects) file(from *v1alpha1.FileSource) (compile.Object, error) {
	path := from.Path
	if !filepath.IsAbs(path) {
		path = filepath.Join(o.folder, path)
	}
	data, err := readSource(path)
	if err != nil {
		return nil, &compile.MissingError{Message: err.Error()}
	}
	return document{name: "file " + from.Path, text: data}, nil
}

// Fetch is the document of a source that isn't among the manifests.
func (o objects) Fetch(from *v1alpha1.EntrySource) (compile.Object, error) {
	spec, ok := fetch.SpecOf(o.namespace, from)
	switch {
	case !ok:
		return o.file(from.File)
	case spec.Artifact != nil:
		return nil, &compile.MissingError{Message: "artifacts are known to a cluster alone: give the file by file or --from-file"}
	case o.documents.offline:
		return nil, &compile.MissingError{Message: "is not fetched with --offline"}
	}
	id := spec.ID() + o.namespace
	found, ok := o.documents.known[id]
	if !ok {
		found = o.fetch(spec)
		o.documents.known[id] = found
	}
	if found.err != nil {
		return nil, &compile.MissingError{Message: "could not be fetched: " + found.err.Error()}
	}
	return document{name: spec.Name(), version: found.meta.Digest, text: found.text}, nil
}

// fetch fetches a document.
func (o objects) fetch(spec fetch.Spec) (got fetchedText) {
	dir, err := os.MkdirTemp("", "bpfmap-sources-")
	if err != nil {
		return fetchedText{err: err}
	}
	defer func() { got.err = errors.Join(got.err, os.RemoveAll(dir)) }()
	client := &fetch.Client{Policy: fetch.Unbounded(), Limits: fetch.DefaultLimits(), UserAgent: "bpfmap", Objects: manifests{o.all}}
	if client.Proxy, err = proxyFor(spec.HTTP.URL); err != nil {
		return fetchedText{err: err}
	}
	path := filepath.Join(dir, "text")
	found, err := client.Fetch(o.documents.ctx, spec, nil, path)
	if err != nil {
		return fetchedText{err: err}
	}
	text, err := os.ReadFile(path)
	return fetchedText{found.Meta, text, err}
}

// proxyFor is the proxy of the environment (HTTP_PROXY, HTTPS_PROXY, NO_PROXY) for a URL; nil for none.
func proxyFor(text string) (*url.URL, error) {
	u, err := fetch.ParseURL(text)
	if err != nil {
		return nil, err
	}
	return http.ProxyFromEnvironment(&http.Request{URL: u})
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
	for i := range m.all {
		if s := &m.all[i]; s.Kind == kind && s.Namespace == namespace && s.Name == name {
			return s.Data, nil
		}
	}
	return nil, nil
}

// Artifact is never asked for.
func (manifests) Artifact(context.Context, string, string, string) (fetch.Artifact, error) {
	return fetch.Artifact{}, errors.New("artifacts are known to a cluster alone")
}
