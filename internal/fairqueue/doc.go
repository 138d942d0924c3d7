// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fairqueue is a work queue for controllers in which the namespaces take turns: who has many objects waits for
// himself, not the others for him.
//
// Out of scope: how long one object takes, and how many are worked on at the same time.
package fairqueue
