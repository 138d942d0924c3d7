// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

// What is in namespaces is in a role of its own (roleName): it is bound in all of them, or in those that are watched.

// What to load.
// +kubebuilder:rbac:groups=bpfmap.io,resources=bpfmaprevisions,roleName=bpfmap-agent-maps,verbs=get;list;watch
// The parts of large revisions, by name.
// +kubebuilder:rbac:groups=bpfmap.io,resources=bpfmapchunks,roleName=bpfmap-agent-maps,verbs=get
// This node's own labels, for nodeSelector, and its UID, for the owner of its state.
// +kubebuilder:rbac:groups="",resources=nodes,verbs=get;list;watch
// What this node's kernel holds; the watch notices that somebody else changed or deleted it.
// +kubebuilder:rbac:groups=bpfmap.io,resources=bpfnodestates,verbs=get;list;watch;create
// +kubebuilder:rbac:groups=bpfmap.io,resources=bpfnodestates/status,verbs=update
// What people should notice; the patch counts repetitions.
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,roleName=bpfmap-agent-maps,verbs=create;patch
