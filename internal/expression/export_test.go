// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package expression

// SmallBudget is a budget of that cost.
func SmallBudget(cost uint64) *Budget { return &Budget{left: cost} }
