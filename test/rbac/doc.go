// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rbac tests what the components may do: the chart's objects are applied to a real API
// server, and tokens of the components' own service accounts try what must work and what must be
// refused, by RBAC or by the admission policy. Every rule that the chart grants has a reason here.
//
// Out of scope: what the components do with their rights (test/loop).
package rbac
