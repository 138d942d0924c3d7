// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package removal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
)

// How many objects are read at a time. A BPFMap may be as large as etcd takes, 1.5 MiB.
const (
	mapPage  = 20
	nodePage = 200
)

// pause lies between two passes: a controller that is about to end may write once more.
const pause = 2 * time.Second

// message is that of the condition Ready.
const message = "the operator was uninstalled: nothing is known of the map since then"

// nodeMessage is that of a BPFNodeState.
const nodeMessage = "the operator was uninstalled: nothing is known of the node's maps since then"

// Options are the settings.
type Options struct {
	process.Options
	// Timeout bounds all of it.
	Timeout time.Duration
}

// Run connects to the API server and marks all objects.
func Run(ctx context.Context, o Options) error {
	cfg, err := o.RESTConfig("removal")
	if err != nil {
		return err
	}
	c, err := client.New(cfg, client.Options{Scheme: process.Scheme()})
	if err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	return Mark(ctx, c, o.Namespaces)
}

// Mark sets the condition Ready of all BPFMaps of these namespaces and of all BPFNodeStates that have it to Unknown. It ends after a pass in
// which nothing was left to do, and may be called again.
func Mark(ctx context.Context, c client.Client, namespaces process.Namespaces) error {
	for {
		marked, err := markAll(ctx, c, namespaces)
		if err != nil {
			return err
		}
		if marked == 0 {
			return nil
		}
		log.FromContext(ctx).Info("Marked as no longer looked after", "objects", marked)
		select {
		case <-ctx.Done():
			return fmt.Errorf("something goes on writing the status of BPFMaps or BPFNodeStates: %w", ctx.Err())
		case <-time.After(pause):
		}
	}
}

// markAll marks what isn't marked, and counts it.
func markAll(ctx context.Context, c client.Client, namespaces process.Namespaces) (int, error) {
	maps, err := markMaps(ctx, c, namespaces)
	if err != nil {
		return maps, fmt.Errorf("mark BPFMaps: %w", err)
	}
	nodes, err := markNodes(ctx, c)
	if err != nil {
		return maps + nodes, fmt.Errorf("mark BPFNodeStates: %w", err)
	}
	return maps + nodes, nil
}

func markMaps(ctx context.Context, c client.Client, namespaces process.Namespaces) (marked int, err error) {
	if len(namespaces) == 0 {
		namespaces = process.Namespaces{metav1.NamespaceAll}
	}
	list := &v1alpha1.BPFMapList{}
	for _, namespace := range namespaces {
		err := eachPage(ctx, c, list, mapPage, func() error {
			for i := range list.Items {
				o := &list.Items[i]
				if err := mark(ctx, c, o, o.Status.Conditions, message, &marked); err != nil {
					return err
				}
			}
			return nil
		}, client.InNamespace(namespace))
		if err != nil {
			return marked, err
		}
	}
	return marked, nil
}

func markNodes(ctx context.Context, c client.Client) (marked int, err error) {
	list := &v1alpha1.BPFNodeStateList{}
	return marked, eachPage(ctx, c, list, nodePage, func() error {
		for i := range list.Items {
			o := &list.Items[i]
			if err := mark(ctx, c, o, o.Status.Conditions, nodeMessage, &marked); err != nil {
				return err
			}
		}
		return nil
	})
}

// eachPage reads all objects of a kind, page by page. A kind whose CRD is gone has none.
func eachPage(ctx context.Context, c client.Client, list client.ObjectList, limit int64, visit func() error, in ...client.ListOption) error {
	next := ""
	for {
		err := c.List(ctx, list, append(slices.Clone(in), client.Limit(limit), client.Continue(next))...)
		switch {
		case meta.IsNoMatchError(err) || apierrors.IsNotFound(err):
			return nil
		case apierrors.IsResourceExpired(err) && next != "": // it took too long: what is marked is passed quickly now
			next = ""
			continue
		case err != nil:
			return fmt.Errorf("list: %w", err)
		}
		if err := visit(); err != nil {
			return err
		}
		if next = list.GetContinue(); next == "" {
			return nil
		}
	}
}

// mark writes the condition of one object. One that changes meanwhile is left
// to the next pass, and counts.
func mark[T any, O interface {
	*T
	client.Object
}](ctx context.Context, c client.Client, o O, conditions []metav1.Condition, message string, marked *int) error {
	ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.Reason == v1alpha1.ReasonOperatorRemoved {
		return nil
	}
	meta.SetStatusCondition(&conditions, metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonOperatorRemoved,
		ObservedGeneration: ready.ObservedGeneration, Message: message,
	})
	err := process.PatchStatus(ctx, c, o, "replace", "/status/conditions", conditions)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil && !apierrors.IsConflict(err):
		return errors.Join(fmt.Errorf("write %s", client.ObjectKeyFromObject(o)), err)
	}
	*marked++
	return nil
}
