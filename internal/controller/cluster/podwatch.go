// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// indexAgentNode finds agents' pods by their nodes.
const indexAgentNode = "spec.nodeName"

func nodeOfPod(o client.Object) []string { return []string{o.(*corev1.Pod).Spec.NodeName} }
