// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"cmp"
	"context"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// page is how many objects one request lists: a BPFMap may take as much as etcd stores in one object.
const page = 500

// ListMaps are the BPFMaps of a namespace, or of all if it is empty, sorted by namespace and name.
func ListMaps(ctx context.Context, c client.Reader, namespace string) ([]v1alpha1.BPFMap, error) {
	var all []v1alpha1.BPFMap
	var list v1alpha1.BPFMapList
	for {
		err := c.List(ctx, &list, client.InNamespace(namespace), client.Limit(page), client.Continue(list.Continue))
		if err != nil {
			return nil, Request{Verb: "list", Resource: "bpfmaps", Group: v1alpha1.GroupVersion.Group, Namespace: namespace}.Error(err)
		}
		all = append(all, list.Items...)
		if list.Continue == "" {
			return all, nil
		}
		list = v1alpha1.BPFMapList{ListMeta: list.ListMeta}
	}
}

// GetMap is one BPFMap.
func GetMap(ctx context.Context, c client.Reader, namespace, name string) (*v1alpha1.BPFMap, error) {
	m := &v1alpha1.BPFMap{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, m); err != nil {
		return nil, Request{Verb: "get", Resource: "bpfmaps", Group: v1alpha1.GroupVersion.Group, Namespace: namespace, Name: name}.Error(err)
	}
	return m, nil
}

// ListNodeStates are the states of all nodes, sorted by name. With 100 nodes it is one request.
func ListNodeStates(ctx context.Context, c client.Reader) ([]v1alpha1.BPFNodeState, error) {
	var all []v1alpha1.BPFNodeState
	var list v1alpha1.BPFNodeStateList
	for {
		err := c.List(ctx, &list, client.Limit(page), client.Continue(list.Continue))
		if err != nil {
			return nil, Request{Verb: "list", Resource: "bpfnodestates", Group: v1alpha1.GroupVersion.Group, Purpose: "looking at nodes"}.Error(err)
		}
		all = append(all, list.Items...)
		if list.Continue == "" {
			return all, nil
		}
		list = v1alpha1.BPFNodeStateList{ListMeta: list.ListMeta}
	}
}

// ListRevisions are the revisions of a BPFMap, the newest first.
func ListRevisions(ctx context.Context, c client.Reader, namespace, mapName string) ([]v1alpha1.BPFMapRevision, error) {
	var list v1alpha1.BPFMapRevisionList
	err := c.List(ctx, &list, client.InNamespace(namespace), client.MatchingLabels{v1alpha1.LabelMap: v1alpha1.MapLabel(mapName)})
	if err != nil {
		return nil, Request{
			Verb: "list", Resource: "bpfmaprevisions", Group: v1alpha1.GroupVersion.Group, Namespace: namespace, Purpose: "looking at revisions",
		}.Error(err)
	}
	revisions := slices.DeleteFunc(list.Items, func(r v1alpha1.BPFMapRevision) bool { return r.Spec.MapName != mapName })
	slices.SortFunc(revisions, func(a, b v1alpha1.BPFMapRevision) int { return cmp.Compare(b.Number(), a.Number()) })
	return revisions, nil
}

// GetRevision is one revision.
func GetRevision(ctx context.Context, c client.Reader, namespace, name string) (*v1alpha1.BPFMapRevision, error) {
	r := &v1alpha1.BPFMapRevision{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, r); err != nil {
		return nil, Request{
			Verb: "get", Resource: "bpfmaprevisions", Group: v1alpha1.GroupVersion.Group, Namespace: namespace, Name: name, Purpose: "reading what a revision holds",
		}.Error(err)
	}
	return r, nil
}

// ListAllRevisions are the revisions of all BPFMaps of all namespaces.
func ListAllRevisions(ctx context.Context, c client.Reader) ([]v1alpha1.BPFMapRevision, error) {
	var all []v1alpha1.BPFMapRevision
	var list v1alpha1.BPFMapRevisionList
	for {
		if err := c.List(ctx, &list, client.Limit(page), client.Continue(list.Continue)); err != nil {
			return nil, Request{Verb: "list", Resource: "bpfmaprevisions", Group: v1alpha1.GroupVersion.Group}.Error(err)
		}
		all = append(all, list.Items...)
		if list.Continue == "" {
			return all, nil
		}
		list = v1alpha1.BPFMapRevisionList{ListMeta: list.ListMeta}
	}
}
