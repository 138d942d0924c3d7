// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// A rate limiter: each source that has a bucket may send as many packets as there are tokens in it. Who declares the
// bucket says how many it holds and how long one takes to come back; the rest of it is this program's.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct bucket {
	struct bpf_spin_lock lock;
	__u32 burst;    // tokens that it holds
	__u64 interval; // nanoseconds after which a token comes back
	__u64 tokens;
	__u64 last; // when the newest token came
	__u64 passed;
	__u64 dropped;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __be32);
	__type(value, struct bucket);
	__uint(max_entries, 64);
} buckets SEC(".maps");

// fill puts the tokens into the bucket that came since the last one. The first packet finds it full.
static __always_inline void fill(struct bucket *b, __u64 now)
{
	__u64 n = 0;

	if (!b->last) {
		b->tokens = b->burst;
		b->last = now;
	} else if (now > b->last) {
		n = (now - b->last) / (b->interval | !b->interval);
		b->tokens += n;
		b->last += n * b->interval;
	}
	if (b->tokens > b->burst)
		b->tokens = b->burst;
}

SEC("xdp")
int limit(struct xdp_md *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);
	int verdict = XDP_DROP;
	struct bucket *b;
	__u64 now;

	if ((void *)(ip + 1) > (void *)(long)ctx->data_end || eth->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	b = bpf_map_lookup_elem(&buckets, &ip->saddr);
	if (!b)
		return XDP_PASS;
	now = bpf_ktime_get_ns();
	bpf_spin_lock(&b->lock);
	fill(b, now);
	if (b->tokens) {
		b->tokens--;
		b->passed++;
		verdict = XDP_PASS;
	} else {
		b->dropped++;
	}
	bpf_spin_unlock(&b->lock);
	return verdict;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
