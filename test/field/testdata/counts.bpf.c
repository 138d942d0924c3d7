// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// Counts in a value whose other fields are declared, in a map of the type that the test sets.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct key {
#ifdef PREFIX
	__u32 length;
#endif
	__u32 number;
};

struct value {
#ifdef LOCK
	struct bpf_spin_lock lock;
#endif
	__u8 verdict;
#ifdef BITS
	__u64 mode : 6, hits : 58;
#else
	__u64 hits;
#endif
	__u32 weight;
};

struct {
	__uint(type, TYPE);
	__type(key, struct key);
	__type(value, struct value);
	__uint(max_entries, 16);
	__uint(map_flags, FLAGS);
} counted SEC(".maps");

// What the program counted, beyond what a test knows: a run that a signal ends is run again.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 1);
} runs SEC(".maps");

// How a program counts: alone on its CPU, under the lock, or beside other CPUs.
static __always_inline void add(struct value *value)
{
#if defined(LOCK)
	bpf_spin_lock(&value->lock);
	value->hits++;
	bpf_spin_unlock(&value->lock);
#elif defined(PERCPU)
	value->hits++;
#else
	__sync_fetch_and_add(&value->hits, 1);
#endif
}

SEC("xdp")
int count(struct xdp_md *ctx)
{
	struct key key = {
#ifdef PREFIX
		.length = 32,
#endif
		.number = 1,
	};
	struct value *value = bpf_map_lookup_elem(&counted, &key);
	__u32 first = 0;
	__u64 *run = bpf_map_lookup_elem(&runs, &first);

	if (!value || !run)
		return XDP_ABORTED;
	__sync_fetch_and_add(run, 1);
	add(value);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
