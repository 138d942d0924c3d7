// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"
	"testing"
	"time"
)

const (
	// burst is how many packets are on the way at most; the veth's ring has room for 256.
	burst = 100
	// limit bounds the wait for a packet that nothing blocks.
	limit = 30 * time.Second
)

// Send sends n packets from a client's address to port Open, and returns how many came through. All of them were
// seen by the program when it returns.
func (w *Wire) Send(t testing.TB, from string, n int) (received int) {
	t.Helper()
	return w.SendTo(t, from, Open, n)
}

// SendTo is Send to another port.
func (w *Wire) SendTo(t testing.TB, from string, to Port, n int) (received int) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for ; n > 0; n -= burst {
		got, err := w.send(flow{from, to}, min(n, burst))
		if err != nil {
			t.Errorf("send packets from %s: %v", from, err)
			return received
		}
		received += got
	}
	return received
}

// send sends some packets, and one of the control address behind them.
func (w *Wire) send(f flow, n int) (received int, err error) {
	w.bursts++
	tag := binary.LittleEndian.AppendUint64(nil, w.bursts)
	for range n {
		if _, err := w.from[f].Write(tag); err != nil {
			return 0, err
		}
	}
	if _, err := w.from[flow{control, last}].Write(tag); err != nil {
		return 0, err
	}
	if err := await(w.to[flow{IPv4, last}], tag); err != nil {
		return 0, fmt.Errorf("wait for the packet of %s: %w", control, err)
	}
	return drain(w.to[flow{machineOf(f.address), f.port}], tag)
}

// await reads until a packet with this tag came.
func await(c *net.UDPConn, tag []byte) error {
	if err := c.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	for got := make([]byte, 2*len(tag)); ; {
		if n, err := c.Read(got); err != nil || slices.Equal(got[:n], tag) {
			return err
		}
	}
}

// drain counts the packets with this tag that are there.
func drain(c *net.UDPConn, tag []byte) (n int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	got := make([]byte, 2*len(tag))
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		for failed == nil {
			var size int
			if size, _, failed = syscall.Recvfrom(int(fd), got, syscall.MSG_DONTWAIT); failed == nil && slices.Equal(got[:size], tag) {
				n++
			}
		}
		return true
	})
	if errors.Is(failed, syscall.EAGAIN) {
		failed = nil
	}
	return n, errors.Join(err, failed)
}

// Count is how many packets were sent, and how many of them came through.
type Count struct{ Sent, Received int }

// String is "12 of 20".
func (c Count) String() string { return fmt.Sprintf("%d of %d", c.Received, c.Sent) }

// Pour sends packets from a client's address, one burst after the other and at least one, until stop is called.
func (w *Wire) Pour(t testing.TB, from string) (stop func() Count) {
	t.Helper()
	end, done := make(chan struct{}), make(chan Count, 1)
	go func() {
		var c Count
		for {
			c.Received += w.Send(t, from, burst)
			c.Sent += burst
			select {
			case <-end:
				done <- c
				return
			case <-time.After(5 * time.Millisecond): // others need the processor, too
			}
		}
	}()
	return func() Count {
		close(end)
		return <-done
	}
}
