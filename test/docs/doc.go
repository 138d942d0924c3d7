// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package docs reads the project's Markdown and holds it to what it says: every fenced block of README.md, of docs and
// of the chart's README is a manifest that validates, is run, or says why it isn't; every relative link and anchor
// leads somewhere; every page is in the site's navigation.
//
// An HTML comment before a block is its mark:
//
//	<!-- run: machine -->                  shell that is run on a machine of its own, block after block of the page
//	<!-- run: cluster -->                  the same with an API server, the controller and agents of three nodes
//	<!-- run: machine cluster -->          both
//	<!-- run: rust -->                     on a machine like the first, where there is a Rust compiler
//	<!-- run: pods -->                     on the cluster of test/e2e, with the chart installed
//	<!-- file: NAME -->                    a file that the page's blocks use, written when its place is reached
//	<!-- run by: test/field TestName -->   a test of another package runs it: it takes the block from the page, by ShownBy
//	<!-- part of: BPFMap.spec.key -->      a part of a BPFMap, held to its JSON schema
//	<!-- not run: reason -->               nothing runs it, and why
//
// A comment <!-- aside: machine: COMMAND --> is run and not shown, where readers do something else: installing, say.
//
// "blocks:" before any of them (<!-- blocks: not run: reason -->) marks all blocks that follow on the page and have no
// mark of their own, until the next "blocks:". A block of the language console has commands after "$ " and what they
// print below them; … stands for anything. Complete manifests need no mark.
package docs
