// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package histories plays the controller and the agents of a small fleet against an API server in memory
// whose readers each see a view of an age of their own, per kind, as behind several API servers: a seed
// draws what people do, who restarts with which views, who dies in which write, and what is lost. After
// each step it compares the nodes and the API server with what may be; at the end, when all views are
// fresh, with what must be. Everything that decides is the real thing: reconcilers, handlers of events,
// engine.
//
// Out of scope: production, the kernel (engine's own histories), the real API server but for the contract
// that holds the one in memory to it.
package histories
