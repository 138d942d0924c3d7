// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package contents lets people read what the maps of a node hold, over HTTP: what may be asked, who may ask it, and the
// bounds of an answer.
//
// Out of scope: reading maps (cli/local), who somebody is and what they may do (controller/process asks the API server), and
// the connection (controller/agent serves it, cli/plugin/live reaches it).
package contents
