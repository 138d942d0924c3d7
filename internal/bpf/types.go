// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"fmt"
	"strings"
)

// MapType is a kernel map type, enum bpf_map_type.
type MapType uint32

// The map types of Linux 6.18, in the kernel's order.
const (
	Unspec MapType = iota
	Hash
	Array
	ProgArray
	PerfEventArray
	PerCPUHash
	PerCPUArray
	StackTrace
	CGroupArray
	LRUHash
	LRUPerCPUHash
	LPMTrie
	ArrayOfMaps
	HashOfMaps
	DevMap
	SockMap
	CPUMap
	XSKMap
	SockHash
	CGroupStorage
	ReusePortSockArray
	PerCPUCGroupStorage
	Queue
	Stack
	SKStorage
	DevMapHash
	StructOps
	RingBuf
	InodeStorage
	TaskStorage
	BloomFilter
	UserRingBuf
	CGRPStorage
	Arena
)

// typeNames are the names of the types: ours in CamelCase, and the kernel's without the prefix
// BPF_MAP_TYPE_.
var typeNames = [...]struct{ name, uapi string }{
	Unspec:              {"Unspec", "UNSPEC"},
	Hash:                {"Hash", "HASH"},
	Array:               {"Array", "ARRAY"},
	ProgArray:           {"ProgArray", "PROG_ARRAY"},
	PerfEventArray:      {"PerfEventArray", "PERF_EVENT_ARRAY"},
	PerCPUHash:          {"PerCPUHash", "PERCPU_HASH"},
	PerCPUArray:         {"PerCPUArray", "PERCPU_ARRAY"},
	StackTrace:          {"StackTrace", "STACK_TRACE"},
	CGroupArray:         {"CGroupArray", "CGROUP_ARRAY"},
	LRUHash:             {"LRUHash", "LRU_HASH"},
	LRUPerCPUHash:       {"LRUPerCPUHash", "LRU_PERCPU_HASH"},
	LPMTrie:             {"LPMTrie", "LPM_TRIE"},
	ArrayOfMaps:         {"ArrayOfMaps", "ARRAY_OF_MAPS"},
	HashOfMaps:          {"HashOfMaps", "HASH_OF_MAPS"},
	DevMap:              {"DevMap", "DEVMAP"},
	SockMap:             {"SockMap", "SOCKMAP"},
	CPUMap:              {"CPUMap", "CPUMAP"},
	XSKMap:              {"XSKMap", "XSKMAP"},
	SockHash:            {"SockHash", "SOCKHASH"},
	CGroupStorage:       {"CGroupStorage", "CGROUP_STORAGE"},
	ReusePortSockArray:  {"ReusePortSockArray", "REUSEPORT_SOCKARRAY"},
	PerCPUCGroupStorage: {"PerCPUCGroupStorage", "PERCPU_CGROUP_STORAGE"},
	Queue:               {"Queue", "QUEUE"},
	Stack:               {"Stack", "STACK"},
	SKStorage:           {"SKStorage", "SK_STORAGE"},
	DevMapHash:          {"DevMapHash", "DEVMAP_HASH"},
	StructOps:           {"StructOps", "STRUCT_OPS"},
	RingBuf:             {"RingBuf", "RINGBUF"},
	InodeStorage:        {"InodeStorage", "INODE_STORAGE"},
	TaskStorage:         {"TaskStorage", "TASK_STORAGE"},
	BloomFilter:         {"BloomFilter", "BLOOM_FILTER"},
	UserRingBuf:         {"UserRingBuf", "USER_RINGBUF"},
	CGRPStorage:         {"CGRPStorage", "CGRP_STORAGE"},
	Arena:               {"Arena", "ARENA"},
}

// String is the type's name in CamelCase, for example "LPMTrie".
func (t MapType) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t].name
	}
	return fmt.Sprintf("MapType(%d)", uint32(t))
}

// UAPIName is the type's name in the kernel's headers, for example "BPF_MAP_TYPE_LPM_TRIE".
func (t MapType) UAPIName() string {
	if int(t) < len(typeNames) {
		return "BPF_MAP_TYPE_" + typeNames[t].uapi
	}
	return fmt.Sprintf("BPF_MAP_TYPE_%d", uint32(t))
}

// ParseMapType is the type of that name, as String or UAPIName writes it.
func ParseMapType(name string) (MapType, error) {
	short := strings.TrimPrefix(name, "BPF_MAP_TYPE_")
	for t, n := range typeNames {
		if t != 0 && (n.name == name || n.uapi == short) {
			return MapType(t), nil
		}
	}
	return Unspec, fmt.Errorf("unknown map type %q", name)
}
