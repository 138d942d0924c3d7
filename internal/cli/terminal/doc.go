// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package terminal writes for people: text that nobody's data can turn into commands to their terminal, colours and
// progress where there is a terminal to show them, and tables that fit it.
//
// Out of scope: what is written, and formats for programs; those are each command's.
package terminal
