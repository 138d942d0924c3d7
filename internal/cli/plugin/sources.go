// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin/kube"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/manifest"
)

// sources are the ConfigMaps and Secrets of a namespace as they will be: those among the manifests, else those of the
// cluster, read with the caller's rights.
type sources struct {
	ctx       context.Context // lives as long as one compilation, which knows no contexts
	reader    client.Reader
	namespace string
	given     []manifest.Source
}

// data is a ConfigMap or Secret.
type data struct {
	name   string
	values map[string][]byte
}

func (d data) Name() string                     { return d.name }
func (d data) Version() string                  { return "" }
func (d data) Keys() ([]string, error)          { return slices.Sorted(maps.Keys(d.values)), nil }
func (d data) Data() (map[string][]byte, error) { return d.values, nil }

// Get is a ConfigMap or Secret.
func (s sources) Get(kind, name string) (compile.Object, error) {
	for i := range s.given {
		if g := &s.given[i]; g.Kind == kind && g.Namespace == s.namespace && g.Name == name {
			return data{g.Name, g.Data}, nil
		}
	}
	key := client.ObjectKey{Namespace: s.namespace, Name: name}
	if kind == "Secret" {
		var secret corev1.Secret
		if err := s.reader.Get(s.ctx, key, &secret); err != nil {
			return nil, s.problem("get", "secrets", name, err)
		}
		return data{name, secret.Data}, nil
	}
	var config corev1.ConfigMap
	if err := s.reader.Get(s.ctx, key, &config); err != nil {
		return nil, s.problem("get", "configmaps", name, err)
	}
	return configData(&config), nil
}

func configData(c *corev1.ConfigMap) data {
	values := make(map[string][]byte, len(c.Data)+len(c.BinaryData))
	for k, v := range c.Data {
		values[k] = []byte(v)
	}
	maps.Copy(values, c.BinaryData)
	return data{c.Name, values}
}

// Select are the ConfigMaps with some labels.
func (s sources) Select(by labels.Selector) ([]compile.Object, error) {
	var list corev1.ConfigMapList
	if err := s.reader.List(s.ctx, &list, client.InNamespace(s.namespace), client.MatchingLabelsSelector{Selector: by}); err != nil {
		return nil, s.problem("list", "configmaps", "", err)
	}
	var found []compile.Object
	isGiven := map[string]bool{}
	for i := range s.given {
		if g := &s.given[i]; g.Kind == "ConfigMap" && g.Namespace == s.namespace {
			isGiven[g.Name] = true
			if by.Matches(labels.Set(g.Labels)) {
				found = append(found, data{g.Name, g.Data})
			}
		}
	}
	for i := range list.Items {
		if !isGiven[list.Items[i].Name] {
			found = append(found, configData(&list.Items[i]))
		}
	}
	return found, nil
}

// Fetch is a file: what the controller fetches isn't compiled here (see fetched).
func (s sources) Fetch(from *v1alpha1.EntrySource) (compile.Object, error) {
	return nil, &compile.MissingError{Message: compile.FetchedName(from) + " is for bpfmap without a cluster: nodes and the controller don't have it"}
}

// Where is for messages.
func (s sources) Where() string { return "in namespace " + s.namespace + ", nor among the manifests" }

func (s sources) problem(verb, resource, name string, err error) error {
	if kube.IsNotFound(err) {
		return nil
	}
	return kube.Request{Verb: verb, Resource: resource, Namespace: s.namespace, Name: name, Purpose: "compiling what the manifest declares"}.Error(err)
}
