// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/cache"
)

// MaxWatchedNamespaces bounds the list: a process has a watch per kind and listed namespace, and a cluster has many agents.
const MaxWatchedNamespaces = 100

// Namespaces are those whose BPFMaps a process manages. None means all of the cluster.
type Namespaces []string

// Watch says whether BPFMaps of a namespace are managed.
func (n Namespaces) Watch(namespace string) bool { return len(n) == 0 || slices.Contains(n, namespace) }

// Check says what is wrong with a list that somebody wrote.
func (n Namespaces) Check() error {
	if len(n) > MaxWatchedNamespaces {
		return fmt.Errorf("%d namespaces: at most %d can be watched one by one; without the list all are", len(n), MaxWatchedNamespaces)
	}
	for i, name := range n {
		if name == "" {
			return errors.New("a namespace's name is empty; without the flag all namespaces are watched")
		}
		if wrong := validation.IsDNS1123Label(name); len(wrong) > 0 {
			return fmt.Errorf("%q is not a valid name of a namespace: %s", name, strings.Join(wrong, "; "))
		}
		if slices.Contains(n[:i], name) {
			return fmt.Errorf("namespace %s is listed twice", name)
		}
	}
	return nil
}

// String is the list for people.
func (n Namespaces) String() string {
	if len(n) == 0 {
		return "all"
	}
	return strings.Join(n, ",")
}

// cached confines a cache to the namespaces, of kinds for which it isn't told otherwise. nil confines it to none.
func (n Namespaces) cached() map[string]cache.Config {
	if len(n) == 0 {
		return nil
	}
	confined := make(map[string]cache.Config, len(n))
	for _, name := range n {
		confined[name] = cache.Config{}
	}
	return confined
}
