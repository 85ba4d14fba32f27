// Waiting for the library's descriptors in Go's own poller: no thread waits, and a context ends it at once.

package smartvpn

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// waiter waits until a descriptor of the library's is readable. It has a duplicate of its own, which goes with it.
// One goroutine at a time may wait.
type waiter struct {
	file   *os.File
	raw    syscall.RawConn
	closed atomic.Bool
}

// newWaiter takes over `fd`, the answer of one of the svpn_dup functions.
func newWaiter(op string, fd int32, errno error) (*waiter, error) {
	if Status(fd) == badHandle {
		return nil, closedError(op)
	}
	if fd < 0 {
		err := &Error{Op: op, Status: Status(fd)}
		if number, ok := errno.(syscall.Errno); ok && err.Status == ErrSystem {
			err.Errno = number
		}
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "smartvpn")
	raw, err := file.SyscallConn()
	if err == nil {
		err = file.SetReadDeadline(time.Time{}) // says whether the poller has it
	}
	if err != nil {
		file.Close()
		return nil, &Error{Op: op, Status: ErrInternal, Text: "the descriptor cannot be waited for", cause: err}
	}
	return &waiter{file: file, raw: raw}, nil
}

// until calls `try` now and whenever the descriptor may have become readable, until it says true. `try` has to take
// until nothing is left before it says false: the poller tells edges. An error is the context's, or ErrClosed.
func (w *waiter) until(ctx context.Context, try func(uintptr) bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if w.closed.Load() {
		return ErrClosed
	}
	if try(0) {
		return nil
	}
	unwatch := w.watch(ctx)
	err := w.raw.Read(try)
	unwatch()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil:
		return ctx.Err()
	default:
		return ErrClosed
	}
}

var longAgo = time.Unix(1, 0)

// watch ends a wait when the context ends, by a deadline that has passed. Call what it gives when the wait is over.
func (w *waiter) watch(ctx context.Context) func() {
	if ctx.Done() == nil {
		return func() {}
	}
	over, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		select {
		case <-ctx.Done():
			_ = w.file.SetReadDeadline(longAgo)
		case <-over:
		}
	}()
	return func() {
		close(over)
		<-gone
		_ = w.file.SetReadDeadline(time.Time{})
	}
}

// close wakes whoever waits.
func (w *waiter) close() {
	w.closed.Store(true)
	_ = w.file.Close()
}

// slices calls a waiting function with short timeouts until it gives something else than TIMEOUT, or the context
// ends, of which `text` says what it means. For the few waits that have no descriptor.
func slices(ctx context.Context, op, text string, call func(timeoutMS int32) error) error {
	const slice = 100 * time.Millisecond
	for {
		if err := ctx.Err(); err != nil {
			return contextError(op, text, err)
		}
		wait := slice
		if end, ok := ctx.Deadline(); ok && time.Until(end) < slice {
			wait = time.Until(end)
		}
		if wait < 0 {
			wait = 0
		}
		err := call(int32(wait/time.Millisecond) + 1)
		if err == nil || !errors.Is(err, ErrTimeout) {
			return err
		}
	}
}
