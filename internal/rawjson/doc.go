// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rawjson walks JSON text value by value, in place: without a tree and without an allocation.
// Check validates a text once (with encoding/json); everything else takes what Check returned.
//
// Out of scope: what values mean (schema), and texts that are read as streams (source).
package rawjson
