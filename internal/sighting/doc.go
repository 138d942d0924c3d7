// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sighting is when sources held their keys first, for entries whose lifetime begins then: a table of hashes and
// times, and the bytes in which it is stored. It isn't about who stores it, nor about what the times mean for an entry.
package sighting
