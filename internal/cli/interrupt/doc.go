// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package interrupt ends commands on SIGINT and SIGTERM: the first signal cancels the command's context, a
// second one ends the process at once, and so does a command that doesn't return within its grace period.
//
// Out of scope: what a command does about a cancelled context, and how work that was cut off is continued;
// the engine's records make that safe.
package interrupt
