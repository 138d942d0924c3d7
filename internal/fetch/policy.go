// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Policy says where requests may go: to which hosts and ports by the URL, and to which addresses by what the host's
// name resolves to at the moment of connecting. It is immutable.
type Policy struct {
	hosts []hostPattern
	// networks are special networks that are allowed.
	networks []netip.Prefix
	// denied are addresses that never are.
	denied []netip.Addr
	// unbounded allows everything.
	unbounded bool
	// flag names the setting of hosts, for messages.
	flag string
}

// hostPattern is a host: "example.org", "*.example.org" for all names below it, or "*" for all names; with a port, or
// for the ports 80 and 443.
type hostPattern struct{ host, port string }

func (h hostPattern) String() string {
	if h.port == "" {
		return h.host
	}
	return net.JoinHostPort(h.host, h.port)
}

// special are the networks that aren't of the public Internet, or lead out of it into others: RFC 6890 and its
// registries at IANA. The names are for messages.
var special = []specialNetwork{
	{netip.MustParsePrefix("0.0.0.0/8"), "this network"},
	{netip.MustParsePrefix("10.0.0.0/8"), "private"},
	{netip.MustParsePrefix("100.64.0.0/10"), "shared address space"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local"},
	{netip.MustParsePrefix("172.16.0.0/12"), "private"},
	{netip.MustParsePrefix("192.0.0.0/24"), "reserved for protocols"},
	{netip.MustParsePrefix("192.88.99.0/24"), "6to4"},
	{netip.MustParsePrefix("192.168.0.0/16"), "private"},
	{netip.MustParsePrefix("198.18.0.0/15"), "for benchmarks"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved"},
	{netip.MustParsePrefix("::/96"), "loopback or unspecified"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "NAT64"},
	{netip.MustParsePrefix("100::/64"), "discard-only"},
	{netip.MustParsePrefix("2001::/23"), "reserved for protocols"},
	{netip.MustParsePrefix("2002::/16"), "6to4"},
	{netip.MustParsePrefix("fc00::/7"), "private"},
	{netip.MustParsePrefix("fe80::/10"), "link-local"},
	{netip.MustParsePrefix("fec0::/10"), "site-local"},
	{netip.MustParsePrefix("ff00::/8"), "multicast"},
}

type specialNetwork struct {
	network netip.Prefix
	name    string
}

// nat64 is the well-known prefix of translators to IPv4 (RFC 6052).
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// maxPatterns bounds the patterns that a message lists.
const maxPatterns = 10

// Unbounded is the policy of people who fetch with their own rights.
func Unbounded() *Policy { return &Policy{unbounded: true} }

// NewPolicy allows hosts, given as patterns, and special networks beyond the public addresses. Denied are addresses
// that names must not lead to in any case, such as the API server's. flag names the setting, for messages.
func NewPolicy(flag string, hosts, networks []string, denied ...netip.Addr) (*Policy, error) {
	p := &Policy{flag: flag, denied: denied}
	for _, h := range hosts {
		pattern, err := parseHost(h)
		if err != nil {
			return nil, fmt.Errorf("allowed host %q: %w", h, err)
		}
		p.hosts = append(p.hosts, pattern)
	}
	for _, n := range networks {
		prefix, err := netip.ParsePrefix(n)
		if err != nil {
			return nil, fmt.Errorf("allowed network %q: must be a prefix such as 10.1.0.0/16", n)
		}
		prefix = prefix.Masked()
		if !slices.ContainsFunc(special, func(s specialNetwork) bool {
			return s.network.Bits() <= prefix.Bits() && s.network.Contains(prefix.Addr())
		}) {
			return nil, fmt.Errorf("allowed network %s: must lie within one of the networks that are closed by default, such as 10.0.0.0/8, 192.168.0.0/16 or fc00::/7; public addresses are open", n)
		}
		p.networks = append(p.networks, prefix)
	}
	return p, nil
}

func parseHost(text string) (hostPattern, error) {
	h := hostPattern{host: text}
	if host, port, err := net.SplitHostPort(text); err == nil {
		if p, err := net.LookupPort("tcp", port); err != nil || p == 0 {
			return h, fmt.Errorf("port %q must be between 1 and 65535", port)
		}
		h = hostPattern{host, port}
	}
	h.host = normalHost(strings.Trim(h.host, "[]"))
	if _, err := netip.ParseAddr(h.host); err == nil || h.host == "*" {
		return h, nil
	}
	if msgs := validation.IsDNS1123Subdomain(strings.TrimPrefix(h.host, "*.")); len(msgs) > 0 {
		return h, fmt.Errorf("must be a host name, *.NAME, * or an address, with a port if it isn't 80 or 443 (%s)", msgs[0])
	}
	return h, nil
}

// normalHost is a host as it is compared.
func normalHost(host string) string { return strings.TrimSuffix(strings.ToLower(host), ".") }

func (h hostPattern) matches(host, port string) bool {
	if h.port != port && (h.port != "" || (port != "80" && port != "443")) {
		return false
	}
	_, err := netip.ParseAddr(host)
	isName := err != nil
	if below, ok := strings.CutPrefix(h.host, "*"); ok && isName {
		return strings.HasSuffix(host, below)
	}
	return h.host == host
}

// ParseURL reads the URL of a document.
func ParseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("url is not valid: %w", cause(err))
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("scheme %q of the URL: must be http or https", u.Scheme)
	case u.Hostname() == "":
		return nil, fmt.Errorf("the URL has no host")
	case u.User != nil:
		return nil, fmt.Errorf("the URL has a user name: put it into the Secret that secretRef names, with the keys username and password")
	}
	return u, nil
}

// portOf is the port of a URL.
func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// CheckURL says why no request may go to a URL; nil if one may.
func (p *Policy) CheckURL(u *url.URL) error {
	if p.unbounded {
		return nil
	}
	host, port := normalHost(u.Hostname()), portOf(u)
	if slices.ContainsFunc(p.hosts, func(h hostPattern) bool { return h.matches(host, port) }) {
		return nil
	}
	if port != "80" && port != "443" {
		host = net.JoinHostPort(host, port)
	}
	return &hostError{host, fmt.Sprintf("the administrator has to add it to %s, which allows %s", p.flag, p.allowed())}
}

// hostError is that of a host that isn't allowed.
type hostError struct{ host, remedy string }

// Error names the host.
func (e *hostError) Error() string { return "host " + e.host + " is not allowed: " + e.remedy }

// addressError is that of an address to which no connection may be made.
type addressError struct {
	address netip.Addr
	why     string
}

// Error names the address.
func (e *addressError) Error() string { return fmt.Sprintf("address %s is %s", e.address, e.why) }

// allowed lists the patterns.
func (p *Policy) allowed() string {
	if len(p.hosts) == 0 {
		return "none"
	}
	var names []string
	for _, h := range p.hosts[:min(len(p.hosts), maxPatterns)] {
		names = append(names, h.String())
	}
	text := strings.Join(names, ", ")
	if more := len(p.hosts) - maxPatterns; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// CheckAddr says why no connection may be made to an address; nil if one may. It is asked with what a name was
// resolved to for this very connection, so that a name that changes its address between two questions gains
// nothing.
func (p *Policy) CheckAddr(addr netip.Addr) error {
	if p.unbounded {
		return nil
	}
	if addr = addr.Unmap().WithZone(""); nat64.Contains(addr) { // leads to the IPv4 address in its last four bytes
		b := addr.As16()
		addr = netip.AddrFrom4([4]byte(b[12:]))
	}
	for _, d := range p.denied {
		if d == addr {
			return &addressError{addr, "the API server's: no source may be there"}
		}
	}
	for _, s := range special {
		if !s.network.Contains(addr) {
			continue
		}
		if slices.ContainsFunc(p.networks, func(n netip.Prefix) bool { return n.Contains(addr) }) {
			return nil
		}
		return &addressError{addr, s.name + ": the administrator has to allow its network by --allowed-source-networks"}
	}
	return nil
}

// control is the Control of a net.Dialer.
func (p *Policy) control(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("address %q is not valid", address)
	}
	return p.CheckAddr(to.Addr())
}
