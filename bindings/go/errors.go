// Errors: the library's statuses as sentinels, and *Error with what a status cannot say.

package smartvpn

// #include <smartvpn.h>
import "C"

import (
	"context"
	"errors"
	"strings"
	"syscall"
)

// Status is one of the library's answers. As an error it is a sentinel for errors.Is.
type Status int32

// Error gives the status in a few English words.
func (s Status) Error() string {
	return "smartvpn: " + C.GoString(C.smartvpn_status_text(C.smartvpn_status(s)))
}

// Name gives the status's name in smartvpn.h without its prefix, such as "NOT_FOUND".
func (s Status) Name() string { return C.GoString(C.smartvpn_status_name(C.smartvpn_status(s))) }

// The sentinels. An *Error matches the one of its status.
const (
	ErrInvalid       Status = C.SMARTVPN_INVALID          // invalid argument or configuration
	ErrUnsupported   Status = C.SMARTVPN_UNSUPPORTED      // exists, but not in this build or version
	ErrBadState      Status = C.SMARTVPN_BAD_STATE        // not now: see the method
	ErrNotFound      Status = C.SMARTVPN_NOT_FOUND        // no such client, session or number
	ErrExists        Status = C.SMARTVPN_EXISTS           // an id, key or address is taken
	ErrConflict      Status = C.SMARTVPN_CONFLICT         // changed by somebody else meanwhile
	ErrTimeout       Status = C.SMARTVPN_TIMEOUT          // the time was up
	ErrClosed        Status = C.SMARTVPN_CLOSED           // closed, ended, or never opened
	ErrForked        Status = C.SMARTVPN_FORKED           // opened by the process this one was forked from
	ErrNoMemory      Status = C.SMARTVPN_NO_MEMORY        // memory is out
	ErrLimit         Status = C.SMARTVPN_LIMIT            // a limit is reached
	ErrTooSmall      Status = C.SMARTVPN_BUFFER_TOO_SMALL // the next packet does not fit the arena
	ErrSecretNotKept Status = C.SMARTVPN_SECRET_NOT_KEPT  // the registry does not keep private keys
	ErrSystem        Status = C.SMARTVPN_SYSTEM           // the system refused; errors.As to syscall.Errno
	ErrRefused       Status = C.SMARTVPN_REFUSED          // the other side refused
	ErrInternal      Status = C.SMARTVPN_INTERNAL         // the library's fault

	badHandle   Status = C.SMARTVPN_BAD_HANDLE
	interrupted Status = C.SMARTVPN_INTERRUPTED
	again       Status = C.SMARTVPN_AGAIN
)

// Error is what went wrong in a call. It never holds a secret.
type Error struct {
	Op     string        // the method, such as "start"
	Status Status        // matches a sentinel by errors.Is
	Path   string        // JSON Pointer of the key at fault, such as "/listen/0/port"; "" if it is about none
	Errno  syscall.Errno // of the system call that was refused; 0 if it is about none
	Text   string        // one sentence for a person
	cause  error
}

func (e *Error) Error() string {
	var out strings.Builder
	out.WriteString("smartvpn: " + e.Op)
	if e.Path != "" {
		out.WriteString(": " + e.Path)
	}
	text := e.Text
	if text == "" {
		text = strings.TrimPrefix(e.Status.Error(), "smartvpn: ")
	}
	out.WriteString(": " + text)
	if e.cause != nil {
		out.WriteString(": " + e.cause.Error())
	}
	return out.String()
}

// Is makes errors.Is(err, ErrNotFound) and its like work.
func (e *Error) Is(target error) bool {
	status, ok := target.(Status)
	return ok && status == e.Status
}

// Unwrap gives the syscall.Errno of a refused system call, or the context's error of a wait that was cancelled.
func (e *Error) Unwrap() error {
	if e.Errno != 0 {
		return e.Errno
	}
	return e.cause
}

// failure makes an error of a call's status; nil unless it is negative. It frees what *err holds.
func failure(op string, status C.smartvpn_status, err **C.smartvpn_error) error {
	if status >= 0 {
		return nil
	}
	out := &Error{Op: op, Status: Status(status)}
	if err != nil && *err != nil {
		out.Path = C.GoString(C.smartvpn_error_path(*err))
		out.Text = C.GoString(C.smartvpn_error_text(*err))
		out.Errno = syscall.Errno(C.smartvpn_error_system_errno(*err))
		C.smartvpn_error_free(*err)
		*err = nil
	}
	if out.Status == badHandle {
		out.Status, out.Text = ErrClosed, "it is closed, or was never opened"
	}
	return out
}

// contextError says that a context has ended, and what that means. Only a deadline matches ErrTimeout.
func contextError(op, text string, cause error) error {
	status := interrupted
	if errors.Is(cause, context.DeadlineExceeded) {
		status = ErrTimeout
	}
	return &Error{Op: op, Status: status, Text: text, cause: cause}
}

const nothingDone = "the context has ended and nothing was done"

func invalid(op, path, text string) error {
	return &Error{Op: op, Status: ErrInvalid, Path: path, Text: text}
}

func closedError(op string) error { return failure(op, C.SMARTVPN_BAD_HANDLE, nil) }
