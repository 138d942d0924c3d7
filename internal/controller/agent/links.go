// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// indexLinks finds the revisions that link to something: "mapRef/<name>", "ifindex/".
const indexLinks = "spec.links"

// linkKeys are what indexLinks holds of a revision. Interfaces change together, so that one word is
// enough for all of them.
func linkKeys(object client.Object) []string {
	var keys []string
	for _, l := range object.(*v1alpha1.BPFMapRevision).Spec.References {
		switch l.Type {
		case v1alpha1.TypeMapRef:
			keys = append(keys, string(l.Type)+"/"+l.Name)
		case v1alpha1.TypeIfindex:
			keys = append(keys, string(l.Type)+"/")
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// relink lets the maps be looked at again whose entries name something that changed.
func (a *agent) relink(ctx context.Context, key string, in ...client.ListOption) {
	var list v1alpha1.BPFMapRevisionList
	options := append(slices.Clone(in), client.MatchingFields{indexLinks: key}, client.UnsafeDisableDeepCopy)
	if err := a.client.List(ctx, &list, options...); err != nil {
		log.FromContext(ctx).Error(err, "Revisions that name something can't be listed", "what", key)
		return
	}
	for i := range list.Items {
		of := revision.Key{Namespace: list.Items[i].Namespace, Name: list.Items[i].Spec.MapName}
		a.reconciler.checks.forget(of)
		a.maps.add(types.NamespacedName(of))
	}
}

// mapReplaced looks at the maps again that hold the map of a BPFMap.
func (a *agent) mapReplaced(ctx context.Context, key revision.Key) {
	a.relink(ctx, string(v1alpha1.TypeMapRef)+"/"+key.Name, client.InNamespace(key.Namespace))
}

// settleInterfaces is how long interfaces must be quiet: a new one changes several times.
const settleInterfaces = 100 * time.Millisecond

// watchInterfaces looks at the maps again that name network interfaces, when these change.
func (a *agent) watchInterfaces(m manager.Manager) error {
	err := m.Add(manager.RunnableFunc(func(ctx context.Context) error {
		changed := make(chan struct{}, 1)
		go func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-changed:
				}
				select {
				case <-ctx.Done():
					return
				case <-time.After(settleInterfaces):
				}
				a.relink(ctx, string(v1alpha1.TypeIfindex)+"/")
			}
		}()
		err := a.host.WatchInterfaces(ctx, func() {
			select {
			case changed <- struct{}{}:
			default: // one is to come
			}
		})
		if err != nil {
			log.FromContext(ctx).Error(err, "Network interfaces can't be watched: maps that name them follow at the next resync")
		}
		return nil
	}))
	if err != nil {
		return fmt.Errorf("set up watch of interfaces: %w", err)
	}
	return nil
}
