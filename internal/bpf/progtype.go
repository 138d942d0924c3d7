// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import "fmt"

// progTypes are the types of programs by their numbers, enum bpf_prog_type in lower case, as bpftool prints them.
var progTypes = []string{
	"unspec", "socket_filter", "kprobe", "sched_cls", "sched_act", "tracepoint", "xdp", "perf_event", "cgroup_skb",
	"cgroup_sock", "lwt_in", "lwt_out", "lwt_xmit", "sock_ops", "sk_skb", "cgroup_device", "sk_msg", "raw_tracepoint",
	"cgroup_sock_addr", "lwt_seg6local", "lirc_mode2", "sk_reuseport", "flow_dissector", "cgroup_sysctl",
	"raw_tracepoint_writable", "cgroup_sockopt", "tracing", "struct_ops", "ext", "lsm", "sk_lookup", "syscall", "netfilter",
}

// TypeName is the program's type as bpftool prints it, for example "xdp"; "type 99" for one that isn't known here.
func (i ProgramInfo) TypeName() string {
	if int64(i.Type) < int64(len(progTypes)) {
		return progTypes[i.Type]
	}
	return fmt.Sprintf("type %d", i.Type)
}
