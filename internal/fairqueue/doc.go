// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fairqueue is a work queue for controllers in which the namespaces take turns, and none has all of the workers:
// who has many objects, or large ones, waits for himself, not the others for him.
//
// Out of scope: how long one object takes. Two namespaces whose objects take long can have all workers between them, until
// the first one is done.
package fairqueue
