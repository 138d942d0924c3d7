// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package advice says of every reason that the API gives what it means and what to do about it. It is the one place
// where that is written: kubectl bpfmap prints it, and docs/troubleshooting.md is made of it.
//
// Out of scope: when a condition has which reason (status), and messages that name the particular thing.
package advice
