// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// Drops the packets of addresses that somebody else lists, and counts them there.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__type(key, __be32);
	__type(value, __u64);
	__uint(max_entries, 1024);
} drops SEC(".maps");

SEC("xdp")
int drop(struct xdp_md *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);
	__u64 *dropped;

	if ((void *)(ip + 1) > (void *)(long)ctx->data_end || eth->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	dropped = bpf_map_lookup_elem(&drops, &ip->saddr);
	if (!dropped)
		return XDP_PASS;
	(*dropped)++;
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
