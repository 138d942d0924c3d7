// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package lpm finds the fewest prefixes with which every lookup of the longest matching prefix ends as before. It is
// pure, and knows nothing of maps and sources.
//
// The algorithm is that of R. Draves, C. King, S. Venkatachary and B. Zill, "Constructing Optimal IP Routing Tables"
// (INFOCOM 1999), with two additions: addresses that no prefix covers stay uncovered, and some prefixes stay as they
// are.
package lpm
