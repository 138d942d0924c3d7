// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/manifest"
)

// sourcesOf are what a map's entriesFrom name among the manifests that were read, in the order that the
// controller has.
func sourcesOf(m *v1alpha1.BPFMap, available []manifest.Source) []compile.Source {
	var all []compile.Source
	for i, from := range m.Spec.EntriesFrom {
		switch {
		case from.ConfigMapRef != nil:
			all = append(all, named(i, m.Namespace, "ConfigMap", *from.ConfigMapRef, available))
		case from.SecretRef != nil:
			all = append(all, named(i, m.Namespace, "Secret", *from.SecretRef, available))
		case from.ConfigMapSelector != nil:
			all = append(all, selected(i, m.Namespace, *from.ConfigMapSelector, available)...)
		}
	}
	return all
}

func named(index int, namespace, kind string, ref v1alpha1.SourceRef, available []manifest.Source) compile.Source {
	for i := range available {
		if s := &available[i]; s.Kind == kind && s.Namespace == namespace && s.Name == ref.Name {
			return sourceOf(index, s, ref.Key)
		}
	}
	return compile.Source{
		Index: index, Name: fmt.Sprintf("%s %s, key %s", kind, ref.Name, ref.Key),
		Err: fmt.Errorf("there is no %s %s in namespace %s among the manifests", kind, ref.Name, namespace),
	}
}

func selected(index int, namespace string, by v1alpha1.SourceSelector, available []manifest.Source) []compile.Source {
	selector := labels.SelectorFromSet(by.MatchLabels)
	var matching []*manifest.Source
	for i := range available {
		if s := &available[i]; s.Kind == "ConfigMap" && s.Namespace == namespace && selector.Matches(labels.Set(s.Labels)) {
			matching = append(matching, s)
		}
	}
	slices.SortFunc(matching, func(a, b *manifest.Source) int { return cmp.Compare(a.Name, b.Name) })
	var all []compile.Source
	for _, s := range matching {
		keys := []string{by.Key}
		if by.Key == "" {
			keys = slices.Sorted(maps.Keys(s.Data))
		}
		for _, key := range keys {
			all = append(all, sourceOf(index, s, key))
		}
	}
	if len(all) == 0 {
		all = append(all, compile.Source{
			Index: index, Name: "ConfigMaps with " + selector.String(), Err: errors.New("there is none among the manifests"),
		})
	}
	return all
}

func sourceOf(index int, s *manifest.Source, key string) compile.Source {
	return compile.Source{Index: index, Name: fmt.Sprintf("%s %s, key %s", s.Kind, s.Name, key), Load: func() ([]byte, error) {
		data, ok := s.Data[key]
		if !ok {
			return nil, &compile.MissingError{Message: fmt.Sprintf("there is no such key: there are %v", slices.Sorted(maps.Keys(s.Data)))}
		}
		return data, nil
	}}
}
