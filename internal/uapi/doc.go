// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package uapi is what the newest kernel's header include/uapi/linux/bpf.h says about maps: names, numbers
// and places of members, as facts without the header's text. Tests compare our tables with it, so that a
// map type, a flag, a command or an attribute that a new kernel brings fails a test here before somebody
// misses it.
//
// `make uapi` reads the header of the newest package again and writes newest.txt; UAPI_HEADER=FILE makes the
// tests read a header instead (`make test-uapi`: that of the package as it is now).
//
// Out of scope: what the running kernel has. Its BTF is compared by the tests of internal/bpf/sys.
package uapi
