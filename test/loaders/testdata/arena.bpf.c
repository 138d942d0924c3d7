// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// An arena, pinned under its name. Where processes map it, its loader says: __ulong(map_extra, ...) is newer than the
// oldest libbpf that the tests are compiled with.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, 33); /* BPF_MAP_TYPE_ARENA, Linux 6.9 */
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 16); /* pages */
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} shared SEC(".maps");

char _license[] SEC("license") = "Dual BSD/GPL";
