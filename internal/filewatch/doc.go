// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package filewatch tells that files may have changed, by inotify(7), and how they are: a Look at them can be compared
// with an earlier one, so that an event that was missed, and a file system without events, cost time and nothing else.
//
// Out of scope: what is in the files, and which files belong together.
package filewatch
