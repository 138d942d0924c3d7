// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package loop tests the whole loop on real parts: the program that people run, as controller and
// agent processes with the rights of their roles only, a real API server, and this machine's kernel.
//
// Out of scope: what a package can test alone.
package loop
