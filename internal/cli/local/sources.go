// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/manifest"
)

// objects are the ConfigMaps and Secrets of a namespace among the manifests that were read.
type objects struct {
	namespace string
	all       []manifest.Source
	// folder is that of the manifest, which the paths of file sources are relative to.
	folder    string
	documents *documents
}

// Get is one of them.
func (o objects) Get(kind, name string) (compile.Object, error) {
	if err := o.documents.broken[kind+" "+o.namespace+"/"+name]; err != nil {
		return nil, err
	}
	for i := range o.all {
		if s := &o.all[i]; s.Kind == kind && s.Namespace == o.namespace && s.Name == name {
			return o.object(s), nil
		}
	}
	return nil, nil //nolint:nilnil // what Objects asks for
}

// Select are the ConfigMaps with some labels.
func (o objects) Select(by labels.Selector) ([]compile.Object, error) {
	var found []compile.Object
	for i := range o.all {
		if s := &o.all[i]; s.Kind == "ConfigMap" && s.Namespace == o.namespace && by.Matches(labels.Set(s.Labels)) {
			found = append(found, o.object(s))
		}
	}
	return found, nil
}

// Where is for messages.
func (o objects) Where() string { return "in namespace " + o.namespace + " among the manifests" }

// object is one of them, with its version.
type object struct {
	*manifest.Source
	version string
}

func (o objects) object(s *manifest.Source) object {
	if o.documents.versions {
		return object{s, dataDigest(s.Data)}
	}
	return object{s, ""}
}

// dataDigest identifies data.
func dataDigest(data map[string][]byte) string {
	all := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(data)) {
		_, _ = fmt.Fprintf(all, "%d %d\n%s", len(key), len(data[key]), key) // a hash never fails
		_, _ = all.Write(data[key])
	}
	return hex.EncodeToString(all.Sum(nil))
}

func (o object) Name() string                     { return o.Source.Name }
func (o object) Version() string                  { return o.version }
func (o object) Keys() ([]string, error)          { return slices.Sorted(maps.Keys(o.Source.Data)), nil }
func (o object) Data() (map[string][]byte, error) { return o.Source.Data, nil }
