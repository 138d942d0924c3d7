// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package bundle is an archive of what tells how the operator and its maps are, for those who are to help: objects,
// events, and logs, without the contents of Secrets, of maps made from them, and credentials.
//
// Out of scope: reading the objects from a cluster (plugin).
package bundle
