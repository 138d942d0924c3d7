// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// A firewall as a user of this project writes it: its maps are pinned by name, so that a loader takes
// those that the operator made.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <bpf/bpf_helpers.h>

// What the tests change to get maps that don't fit.
#ifndef MAX_RULES
#define MAX_RULES 1024
#endif
#ifndef PINNING
#define PINNING LIBBPF_PIN_BY_NAME
#endif
#ifndef weight_t
#define weight_t __u64
#endif

struct prefix {
	__u32 length;
	__u32 address; // network order
};

struct rule {
	__u8 action;
	__u32 number;
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__type(key, struct prefix);
	__type(value, struct rule);
	__uint(max_entries, MAX_RULES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(pinning, PINNING);
} blocklist SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, weight_t);
	__uint(max_entries, MAX_RULES);
	__uint(pinning, PINNING);
} rule_weights SEC(".maps");

enum { PACKETS, DROPPED_WEIGHT, MARK, ZONE_WEIGHT, COUNTERS };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, weight_t);
	__uint(max_entries, COUNTERS);
	__uint(pinning, PINNING);
} counters SEC(".maps");

struct zone {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, weight_t);
	__uint(max_entries, 16);
};

// Weights by action, and in each by rule.
struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__type(key, __u32);
	__uint(max_entries, 4);
	__uint(pinning, PINNING);
	__array(values, struct zone);
} zones SEC(".maps");

static __always_inline void count(__u32 what, __u64 n)
{
	weight_t *counter = bpf_map_lookup_elem(&counters, &what);

	if (counter)
		*counter += n;
}

// filter returns the action of the longest prefix that holds the packet's source, 0 if there is none.
SEC("tc")
int filter(struct __sk_buff *skb)
{
	struct prefix source = { .length = 32 };
	struct rule *rule;
	weight_t *weight;
	__u32 action;
	void *zone;

	if (bpf_skb_load_bytes(skb, ETH_HLEN + __builtin_offsetof(struct iphdr, saddr), &source.address, sizeof(source.address)))
		return 0;
	count(PACKETS, 1);
	rule = bpf_map_lookup_elem(&blocklist, &source);
	if (!rule)
		return 0;
	weight = bpf_map_lookup_elem(&rule_weights, &rule->number);
	if (weight)
		count(DROPPED_WEIGHT, *weight);
	action = rule->action;
	zone = bpf_map_lookup_elem(&zones, &action);
	if (!zone)
		return action;
	weight = bpf_map_lookup_elem(zone, &rule->number);
	if (weight)
		count(ZONE_WEIGHT, *weight);
	return action;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
