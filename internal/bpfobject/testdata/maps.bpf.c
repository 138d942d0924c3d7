// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// Each way in which C can define a map.
#include <linux/bpf.h>
#include <linux/in6.h>
#include <bpf/bpf_helpers.h>

struct rule {
	__u8 action;
	__u32 number;
};

struct zone_key {
	__u32 length;
	__u32 ifindex;
	__u8 address[16];
};

enum slot { PACKETS, BYTES };

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct in6_addr);
	__type(value, struct rule);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} rule_of_host SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__type(key, struct zone_key);
	__type(value, __u64);
	__uint(max_entries, 64);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} zones SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, enum slot);
	__type(value, __u64);
	__uint(max_entries, 2);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(key_size, 6);
	__uint(value_size, 3);
	__uint(max_entries, 8);
	__uint(numa_node, 0);
} untyped SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__type(value, __u32);
	__uint(max_entries, 100);
	__uint(map_extra, 3);
} seen SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 5000);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} samples SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(key_size, 4);
	__type(value, struct bpf_devmap_val);
	__uint(max_entries, 16);
} uplinks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, __u32);
} set_by_loader SEC(".maps");

struct table {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, struct rule);
	__uint(max_entries, 16);
} blue SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__type(key, __u32);
	__uint(max_entries, 4);
	__array(values, struct table);
} tables SEC(".maps") = { .values = { [2] = &blue } };

int first(struct xdp_md *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__type(key, __u32);
	__uint(max_entries, 4);
	__array(values, int (struct xdp_md *));
} stages SEC(".maps") = { .values = { [1] = (void *)&first } };

const volatile struct rule fallback = { .action = 2, .number = 7 };
const volatile char motd[8] = "hello";
__u32 limit = 10;
__u64 seen_packets;
static volatile __u16 hidden SEC(".data.tuning") = 3;

SEC("xdp")
int first(struct xdp_md *ctx)
{
	static volatile __u64 calls;

	calls++;
	seen_packets++;
	return fallback.action + motd[0] + limit + hidden;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
