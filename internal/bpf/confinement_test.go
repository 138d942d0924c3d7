// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import "testing"

func TestConfinedAs(t *testing.T) {
	for _, c := range []struct {
		text       string
		permissive bool
		want       Confinement
		typ        string
	}{
		{text: "system_u:system_r:container_t:s0:c1,c2\x00", want: Confinement{SELinux, "system_u:system_r:container_t:s0:c1,c2"}, typ: "container_t"},
		{text: "system_u:system_r:spc_t:s0 \x00", want: Confinement{SELinux, "system_u:system_r:spc_t:s0"}, typ: "spc_t"},
		{text: "user_u:user_r:user_t", want: Confinement{SELinux, "user_u:user_r:user_t"}, typ: "user_t"}, // a policy without levels
		{text: "system_u:system_r:container_t:s0\x00", permissive: true},
		{text: "cri-containerd.apparmor.d (enforce)\n", want: Confinement{AppArmor, "cri-containerd.apparmor.d"}},
		{text: ":lxd:a//&b (enforce)\n", want: Confinement{AppArmor, ":lxd:a//&b"}},
		{text: "cri-containerd.apparmor.d (complain)\n"},
		{text: ":one:two:three (complain)\n"},
		{text: "unconfined\n"},
		{text: "kernel\x00"}, // SELinux before its policy is loaded
		{text: ""},
	} {
		if got := confinedAs(c.text, c.permissive); got != c.want || got.Type() != c.typ {
			t.Errorf("%q, permissive %t: %+v of type %q, want %+v of %q", c.text, c.permissive, got, got.Type(), c.want, c.typ)
		}
	}
}
