// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// Types as programs declare them, one variable for each.
typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef __u16 __be16;
typedef __u32 __be32;

#define tag(text) __attribute__((btf_decl_tag("bpfmap:" text)))

enum mode_bits { READ = 1, WRITE = 2 };
enum level { LOW = 1, HIGH = 300 };
enum way { IN, OUT };

/* Enums that only tags name have to be used. */
enum mode_bits used_mode;
enum level used_level;

typedef __u32 v4_t tag("ipv4");

struct {
	__u32 addr tag("ipv4");
	__u32 host tag("ipv4Host");
	__be32 to[4] tag("ip:First");
	__u8 six[16] tag("ipv6");
	__u8 name[15] tag("string");
	__u8 macs[2][6] tag("mac");
	__u64 idle tag("duration=ns");
	__u32 mode tag("flags=mode_bits");
	__be16 level tag("enum=level");
	__u8 raw[4] tag("u8");
	struct { __u8 length; char text[7]; } command tag("countedString");
	struct { __u32 prefixlen; __u8 data[4]; } prefix tag("ipv4Prefix");
	__u8 wire[8] tag("dnsName");
	v4_t v4;
} tagged;

struct {
	__u32 a tag("ipv6");
	__u32 b tag("ipv5");
	__u32 c tag("flags=nowhere");
	__u32 d tag("ipv4,owner=Program");
	__u32 e __attribute__((btf_decl_tag("somebody else's")));
} mistagged;

struct {
	__u32 mode : 3;
	__u32 : 5;
	__u8 level : 4;
	__u64 wide : 40;
	_Bool ok : 1;
	enum way way : 2;
} bits;

struct __attribute__((packed)) {
	__u8 a;
	union {
		__u32 b;
		__u8 c[6];
		__u8 longest[8] __attribute__((aligned(1)));
	};
	struct { __u16 d; };
	__u8 matrix[2][3][4];
	void *next;
	unsigned __int128 big;
	__u32 rest[];
} odd;

struct {
	__u32 a;
	__u8 b __attribute__((aligned(16)));
} aligned;
