// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fetch brings documents from where they are published: by HTTP, and out of the artifacts of Flux' source
// objects. A Policy says where a request may go, a Client fetches one document within bounds and checks it, a Fetcher
// does that for many readers at the times that are due, and keeps the last good contents of each document on disk.
//
// It knows the API types of sources and nothing else of the operator. What it needs of a cluster it gets through
// Objects.
package fetch
