// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// A policer of two rates with the layout of loxilb's: an action, a lock, what is configured, and what the program keeps.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct action {
	__u8 type;
	__u8 trap;
	__u16 extra;
	__u32 index;
	__u16 rule;
	__u16 record;
	__u32 mark;
};

struct policer {
	__u8 rates;
	__u8 color_aware;
	__u16 drop_priority;
	__u32 reserved;
	__u32 committed_burst;
	__u32 excess_burst;
	// Here the program's own begins, with two exceptions.
	__u32 committed_tokens;
	__u32 excess_tokens;
	__u64 committed_rate; // tokens that come back with each packet
	__u64 excess_rate;
	__u64 committed_at;
	__u64 excess_at;
	struct {
		__u64 dropped;
		__u64 passed;
	} counts;
};

struct entry {
	struct action action;
	struct bpf_spin_lock lock;
	struct policer pol;
};

_Static_assert(sizeof(struct entry) == 96, "as long as loxilb's");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct entry);
	__uint(max_entries, 8);
} policers SEC(".maps");

// police takes four tokens for a packet, so that not all pass.
SEC("xdp")
int police(struct xdp_md *ctx)
{
	__u32 index = 1;
	struct entry *e = bpf_map_lookup_elem(&policers, &index);
	int verdict = XDP_DROP;
	__u64 now = bpf_ktime_get_ns();

	if (!e)
		return XDP_ABORTED;
	bpf_spin_lock(&e->lock);
	if (e->pol.committed_tokens >= 4) {
		e->pol.committed_tokens -= 4;
		verdict = XDP_PASS;
	} else {
		e->pol.committed_tokens += e->pol.committed_rate;
		e->pol.excess_tokens++;
	}
	if (verdict == XDP_PASS)
		e->pol.counts.passed++;
	else
		e->pol.counts.dropped++;
	e->pol.committed_at = now;
	e->pol.excess_at = now;
	bpf_spin_unlock(&e->lock);
	return verdict;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
