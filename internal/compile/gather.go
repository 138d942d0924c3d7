// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// Objects finds the ConfigMaps and Secrets of one namespace: in a cluster, or among manifests.
type Objects interface {
	// Get is a ConfigMap or Secret; nil if it doesn't exist. The error is a *MissingError if the administrator doesn't let it
	// be read, or one of looking.
	Get(kind, name string) (Object, error)
	// Select are the ConfigMaps with all these labels, in any order.
	Select(labels labels.Selector) ([]Object, error)
	// Fetch is the document of an http, artifact or file source: an Object of one key, the empty one, whose Name is for
	// messages and whose Version is the digest of its contents. The error is a *MissingError if the spec or the
	// administrator has to change, a *PendingError if it isn't there yet, or one of looking.
	Fetch(from *v1alpha1.EntrySource) (Object, error)
	// Where says where was looked, for messages: "in namespace edge".
	Where() string
}

// Object is a ConfigMap or Secret.
type Object interface {
	Name() string
	// Version changes when the data do; empty if that isn't known.
	Version() string
	// Keys are the keys of the data, sorted.
	Keys() ([]string, error)
	// Data reads the data.
	Data() (map[string][]byte, error)
}

// Gather finds the sources that spec.entriesFrom names, in the order in which they are compiled: element
// by element; those of a selector by their names, and then their keys. What doesn't exist is a Source with
// an Err; the error is one of looking for something. Data aren't read yet.
func Gather(spec *v1alpha1.BPFMapSpec, in Objects) ([]Source, error) {
	var all []Source
	for i, from := range spec.EntriesFrom {
		var found []Source
		var err error
		switch {
		case from.ConfigMapRef != nil:
			found, err = named(i, "ConfigMap", from.ConfigMapRef, in)
		case from.SecretRef != nil:
			found, err = named(i, "Secret", from.SecretRef, in)
		case from.ConfigMapSelector != nil:
			found, err = selected(i, from.ConfigMapSelector, in)
		case from.HTTP != nil, from.Artifact != nil, from.File != nil:
			found, err = fetched(i, &spec.EntriesFrom[i], in)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

func named(index int, kind string, ref *v1alpha1.SourceRef, in Objects) ([]Source, error) {
	object, err := in.Get(kind, ref.Name)
	var missing *MissingError
	switch {
	case errors.As(err, &missing):
		return []Source{{Index: index, Name: sourceName(kind, ref.Name, ref.Key), Err: err}}, nil
	case err != nil:
		return nil, fmt.Errorf("look for %s %s: %w", kind, ref.Name, err)
	case object == nil:
		return []Source{{
			Index: index, Name: sourceName(kind, ref.Name, ref.Key),
			Err: fmt.Errorf("%s %s does not exist %s", kind, ref.Name, in.Where()),
		}}, nil
	}
	return []Source{sourceOf(index, kind, object, ref.Key)}, nil
}

// fetched is a source that isn't an object of the API. One that isn't there yet has an Err, too: never are there no
// entries.
func fetched(index int, from *v1alpha1.EntrySource, in Objects) ([]Source, error) {
	object, err := in.Fetch(from)
	var missing *MissingError
	var pending *PendingError
	switch {
	case errors.As(err, &missing), errors.As(err, &pending):
		return []Source{{Index: index, Name: FetchedName(from), Err: err}}, nil
	case err != nil:
		return nil, fmt.Errorf("look for %s: %w", FetchedName(from), err)
	}
	load := func() ([]byte, error) {
		data, err := object.Data()
		return data[""], err
	}
	found := Source{Index: index, Name: object.Name(), Version: object.Version(), Load: load}
	if long, ok := object.(interface{ Bytes() int64 }); ok {
		found.Bytes = long.Bytes()
	}
	return []Source{found}, nil
}

// FetchedName says what an http, artifact or file source names, for messages. What follows the path of a URL isn't
// shown: it may hold a key.
func FetchedName(from *v1alpha1.EntrySource) string {
	switch {
	case from.HTTP != nil:
		shown, _, more := strings.Cut(from.HTTP.URL, "?")
		if more {
			shown += "?…"
		}
		return shown
	case from.Artifact != nil:
		return fmt.Sprintf("%s %s, path %s", from.Artifact.Kind, from.Artifact.Name, from.Artifact.Path)
	}
	return "file " + from.File.Path
}

func selected(index int, by *v1alpha1.SourceSelector, in Objects) ([]Source, error) {
	selector := labels.SelectorFromSet(by.MatchLabels)
	objects, err := in.Select(selector)
	if err != nil {
		return nil, fmt.Errorf("list ConfigMaps with %s: %w", selector, err)
	}
	slices.SortFunc(objects, func(a, b Object) int { return cmp.Compare(a.Name(), b.Name()) })
	var all []Source
	for _, object := range objects {
		keys := []string{by.Key}
		if by.Key == "" {
			if keys, err = object.Keys(); err != nil {
				return nil, fmt.Errorf("read the keys of ConfigMap %s: %w", object.Name(), err)
			}
		}
		for _, key := range keys {
			all = append(all, sourceOf(index, "ConfigMap", object, key))
		}
	}
	if len(all) == 0 {
		all = []Source{{Index: index, Name: selectorName(by), Err: errors.New("none exist " + in.Where())}}
	}
	return all, nil
}

// selectorName is how messages call the ConfigMaps of a selector.
func selectorName(by *v1alpha1.SourceSelector) string {
	return fmt.Sprintf("ConfigMaps with %s", labels.SelectorFromSet(by.MatchLabels))
}

func sourceName(kind, object, key string) string {
	return fmt.Sprintf("%s %s, key %s", kind, object, key)
}

func sourceOf(index int, kind string, object Object, key string) Source {
	load := func() ([]byte, error) {
		data, err := object.Data()
		if err != nil {
			return nil, err
		}
		value, ok := data[key]
		if !ok && kind == "Secret" { // which keys it has isn't for everybody who reads a status
			return nil, &MissingError{Message: "has no such key"}
		}
		if !ok {
			return nil, &MissingError{Message: fmt.Sprintf("has no such key: must be one of %v", slices.Sorted(maps.Keys(data)))}
		}
		return value, nil
	}
	return Source{Index: index, Name: sourceName(kind, object.Name(), key), Version: object.Version(), Load: load}
}
