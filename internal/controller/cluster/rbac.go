// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

// What is in namespaces of BPFMaps is in a role of its own (roleName): it is bound in all of them, or in those that are watched.

// What people declare.
// +kubebuilder:rbac:groups=bpfmap.io,resources=bpfmaps,roleName=bpfmap-controller-maps,verbs=get;list;watch
// The aggregate; the spec is never written.
// +kubebuilder:rbac:groups=bpfmap.io,resources=bpfmaps/status,roleName=bpfmap-controller-maps,verbs=patch
// Compiling creates revisions, activating patches their label, and collecting deletes them.
// +kubebuilder:rbac:groups=bpfmap.io,resources=bpfmaprevisions,roleName=bpfmap-controller-maps,verbs=get;list;watch;create;patch;delete
// Sources of entries (spec.entriesFrom). The watches carry metadata alone; data are read by name.
// +kubebuilder:rbac:groups="",resources=configmaps,roleName=bpfmap-controller-maps,verbs=get;list;watch
// Secrets aren't here: with --secret-sources the chart (controller.sources.secrets.enabled) and config/secrets add them.
// The parts of large revisions, and when sources held their keys first; the watch carries metadata alone.
// +kubebuilder:rbac:groups=bpfmap.io,resources=bpfmapchunks,roleName=bpfmap-controller-maps,verbs=get;list;watch;create;delete
// How far a revision goes.
// +kubebuilder:rbac:groups=bpfmap.io,resources=bpfmaprevisions/status,roleName=bpfmap-controller-maps,verbs=patch
// What the agents observed.
// +kubebuilder:rbac:groups=bpfmap.io,resources=bpfnodestates,verbs=get;list;watch
// Whether the node and its agent are alive; it writes of them the condition Ready,
// and which maps a node may give up.
// +kubebuilder:rbac:groups=bpfmap.io,resources=bpfnodestates/status,verbs=patch
// Names and labels of nodes, for nodeSelector, their taints, for where agents run, and whether they are ready.
// +kubebuilder:rbac:groups="",resources=nodes,verbs=get;list;watch
// What people should notice; the patch counts repetitions.
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,roleName=bpfmap-controller-maps,verbs=create;patch
// One controller at a time, and its announcement, in the controller's own namespace.
// +kubebuilder:rbac:groups=coordination.k8s.io,namespace=bpfmap-system,resources=leases,verbs=get;create;update
// +kubebuilder:rbac:groups="",namespace=bpfmap-system,resources=events,verbs=create;patch
// Whether agents are ready, and where they are to run, in the controller's own namespace.
// +kubebuilder:rbac:groups="",namespace=bpfmap-system,resources=pods,verbs=get;list;watch
// +kubebuilder:rbac:groups=apps,namespace=bpfmap-system,resources=daemonsets,verbs=get;list;watch
