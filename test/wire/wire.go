// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Interface is the name of the machine's interface.
const Interface = "eth0"

// The machine's addresses, and what the clients' begin with.
const (
	IPv4 = "10.77.0.1"
	IPv6 = "fd77::1"
)

// control is a client whose packets no test may block: one of them ends each burst.
const control = "10.77.0.254"

// Wire is the machine, its clients, and the sockets between them. Its methods may be called by several goroutines,
// and wait for each other.
type Wire struct {
	machine, clients netns.NsHandle
	mu               sync.Mutex
	to               map[flow]*net.UDPConn // by one of the machine's addresses
	from             map[flow]*net.UDPConn // by a client's
	bursts           uint64                // so far
}

// Port is a UDP port that the machine counts packets at.
type Port uint16

// Open is the port that packets go to unless a test says otherwise; Other is another one. At last is counted what no
// test may block.
const (
	Open  Port = 5000
	Other Port = 9999
	last  Port = 5001
)

var ports = []Port{Open, Other, last}

// flow is an address of the machine or of a client, and the port that packets go to.
type flow struct {
	address string
	port    Port
}

// machineOf is the machine's address that a client sends to.
func machineOf(client string) string {
	if netip.MustParseAddr(client).Is6() {
		return IPv6
	}
	return IPv4
}

// New makes the two namespaces until the test ends. clients are the addresses that packets come from.
func New(t testing.TB, clients ...string) *Wire {
	t.Helper()
	w := &Wire{machine: netns.None(), clients: netns.None(), to: map[flow]*net.UDPConn{}, from: map[flow]*net.UDPConn{}}
	t.Cleanup(func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	})
	err := onThread(func() error { return w.build(append(clients, control)) })
	if err != nil {
		t.Fatalf("make network namespaces (this test needs root): %v", err)
	}
	return w
}

// onThread runs do on a thread that ends with it, whatever namespace it left it in.
func onThread(do func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked
		done <- do()
	}()
	return <-done
}

func (w *Wire) close() error {
	var errs []error
	for _, c := range w.to {
		errs = append(errs, c.Close())
	}
	for _, c := range w.from {
		errs = append(errs, c.Close())
	}
	for _, ns := range []netns.NsHandle{w.machine, w.clients} {
		if ns.IsOpen() {
			errs = append(errs, ns.Close())
		}
	}
	return errors.Join(errs...)
}

func (w *Wire) build(clients []string) (err error) {
	if w.clients, err = netns.New(); err != nil {
		return err
	}
	if w.machine, err = netns.New(); err != nil {
		return err
	}
	// With one queue, packets arrive in the order in which they were sent.
	pair := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: Interface, NumTxQueues: 1, NumRxQueues: 1},
		PeerName:  Interface, PeerNamespace: netlink.NsFd(w.clients), PeerNumTxQueues: 1, PeerNumRxQueues: 1,
	}
	if err := netlink.LinkAdd(pair); err != nil {
		return fmt.Errorf("add a veth pair: %w", err)
	}
	here, err := addAddresses(IPv4, IPv6)
	if err != nil {
		return err
	}
	for _, port := range ports {
		for _, address := range []string{IPv4, IPv6} {
			if w.to[flow{address, port}], err = listen(address, port); err != nil {
				return err
			}
		}
	}
	if err := netns.Set(w.clients); err != nil {
		return err
	}
	there, err := addAddresses(clients...)
	if err != nil {
		return err
	}
	// Nobody has to ask who has an address, so that what is counted is what was sent.
	if err := addNeighbors(here, IPv4, IPv6); err != nil {
		return err
	}
	for _, address := range clients {
		for _, port := range ports {
			if w.from[flow{address, port}], err = dial(address, port); err != nil {
				return err
			}
		}
	}
	if err := netns.Set(w.machine); err != nil {
		return err
	}
	return addNeighbors(there, clients...)
}

// addAddresses gives the namespace's interface addresses, and sets it up.
func addAddresses(addresses ...string) (net.HardwareAddr, error) {
	link, err := netlink.LinkByName(Interface)
	if err != nil {
		return nil, err
	}
	for _, a := range addresses {
		n := &net.IPNet{IP: net.ParseIP(a), Mask: net.CIDRMask(24, 32)}
		if netip.MustParseAddr(a).Is6() {
			n.Mask = net.CIDRMask(64, 128)
		}
		const noDAD = 0x02 // IFA_F_NODAD: the address can be used at once
		if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: n, Flags: noDAD}); err != nil {
			return nil, fmt.Errorf("add address %s: %w", a, err)
		}
	}
	return link.Attrs().HardwareAddr, netlink.LinkSetUp(link)
}

func addNeighbors(at net.HardwareAddr, addresses ...string) error {
	link, err := netlink.LinkByName(Interface)
	if err != nil {
		return err
	}
	for _, a := range addresses {
		n := &netlink.Neigh{LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT, IP: net.ParseIP(a), HardwareAddr: at}
		if err := netlink.NeighSet(n); err != nil {
			return fmt.Errorf("add neighbor %s: %w", a, err)
		}
	}
	return nil
}

// listen receives at a port of the machine. The socket has room for a burst: before Linux 5.14 a packet that came
// through a program on a veth is charged to it with a page.
func listen(address string, port Port) (*net.UDPConn, error) {
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(address), Port: int(port)})
	if err != nil {
		return nil, err
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	const room = 4 * burst * 4096
	var failed error
	err = raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, room) })
	if err := errors.Join(err, failed); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func dial(from string, to Port) (*net.UDPConn, error) {
	return net.DialUDP("udp", &net.UDPAddr{IP: net.ParseIP(from)}, &net.UDPAddr{IP: net.ParseIP(machineOf(from)), Port: int(to)})
}

// namespace is an open file of the machine's namespace, for another process.
func (w *Wire) namespace() (*os.File, error) {
	var f *os.File
	err := onThread(func() (err error) {
		if err := netns.Set(w.machine); err != nil {
			return err
		}
		f, err = os.Open("/proc/thread-self/ns/net")
		return err
	})
	return f, err
}
