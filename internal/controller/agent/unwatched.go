// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// leave keeps the map of a namespace that isn't watched as it is, and says so. Nothing is read of such a namespace: that the
// cache has no revision of the map, or that the API server refuses to tell, says nothing about whether it is declared. e is nil
// while the node isn't ready.
func (r *reconciler) leave(ctx context.Context, e Engine, key revision.Key, h holding) {
	m, reported := r.state.mapOf(key)
	switch {
	case e == nil:
		return // what an earlier agent reported holds until this one has looked
	case !h.present:
		if reported && r.state.remove(key) {
			r.metrics.Forget(key.Namespace, key.Name)
		}
		return
	case !reported || m.UID != h.uid:
		m = v1alpha1.NodeMap{Namespace: key.Namespace, Name: key.Name, UID: h.uid, Revision: h.revision}
	}
	if m.Reason == v1alpha1.NodeReasonNotWatched {
		return
	}
	m.State, m.Reason, m.Message = v1alpha1.NodeMapStalled, v1alpha1.NodeReasonNotWatched, fmt.Sprintf(
		"namespace %s is not among those that the operator watches: the map stays as it was left, and is neither compared nor changed nor removed; list the namespace in watchNamespaces again to have it managed",
		key.Namespace)
	r.state.set(m)
	log.FromContext(ctx).Info("Map is left as it is: its namespace isn't watched", "revision", m.Revision, "mapID", m.MapID, "pin", m.PinPath)
}
