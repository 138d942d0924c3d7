// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sys is bpf(2): the attribute of each command as a struct, a file descriptor that has an
// owner, and one function per command. It is the only package that imports unsafe and
// golang.org/x/sys/unix.
//
// Out of scope: meaning. Flags, sentinels and checks of sizes live in internal/bpf. Callers must pass
// buffers of the sizes that the kernel will read and write.
package sys
