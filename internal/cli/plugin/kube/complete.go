// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// Bounds of a completion: a shell waits for it.
const (
	completeTimeout = 3 * time.Second
	completeMost    = 500
)

// CompletionFunc completes an argument, as cobra asks for it.
type CompletionFunc = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

// CompleteMaps completes the first argument with the names of the namespace's BPFMaps, and later ones by next,
// which may be nil.
func (f *Factory) CompleteMaps(next CompletionFunc) CompletionFunc {
	return func(c *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			if next == nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return next(c, args, prefix)
		}
		return f.names(c, v1alpha1.GroupVersion.WithKind("BPFMap"), true)
	}
}

// CompleteRevisions completes every argument with the names of the namespace's revisions.
func (f *Factory) CompleteRevisions(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return f.names(c, v1alpha1.GroupVersion.WithKind("BPFMapRevision"), true)
}

// CompleteNodes completes every argument with the names of the nodes that have an agent.
func (f *Factory) CompleteNodes(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return f.names(c, v1alpha1.GroupVersion.WithKind("BPFNodeState"), false)
}

// CompleteNamespaces completes every argument with the names of the namespaces.
func (f *Factory) CompleteNamespaces(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return f.names(c, corev1.SchemeGroupVersion.WithKind("Namespace"), false)
}

// names are those of the objects of a kind; none if they can't be read in time.
func (f *Factory) names(c *cobra.Command, kind schema.GroupVersionKind, namespaced bool) ([]string, cobra.ShellCompDirective) {
	none := cobra.ShellCompDirectiveNoFileComp
	reader, err := f.Client()
	if err != nil {
		return nil, none
	}
	ctx := c.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, completeTimeout)
	defer cancel()
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	options := []client.ListOption{client.Limit(completeMost)}
	if namespaced {
		namespace, err := f.Namespace()
		if err != nil {
			return nil, none
		}
		options = append(options, client.InNamespace(namespace))
	}
	if err := reader.List(ctx, list, options...); err != nil {
		return nil, none
	}
	var names []string
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names, none
}

// CompleteRevisionNumbers completes the value of a flag with the numbers of the revisions of the BPFMap that is the first
// argument.
func (f *Factory) CompleteRevisionNumbers(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	none := cobra.ShellCompDirectiveNoFileComp
	if len(args) == 0 {
		return nil, none
	}
	reader, namespace, name, err := f.Named(args[0])
	if err != nil {
		return nil, none
	}
	ctx, cancel := context.WithTimeout(c.Context(), completeTimeout)
	defer cancel()
	revisions, err := ListRevisions(ctx, reader, namespace, name)
	if err != nil {
		return nil, none
	}
	numbers := make([]string, len(revisions))
	for i := range revisions {
		numbers[i] = strconv.FormatInt(revisions[i].Number(), 10)
	}
	return numbers, none
}
