// Moments, which the library counts in milliseconds since 1970.

package smartvpn

import (
	"strconv"
	"time"
)

// Time is a moment of the library's. The zero Time is none.
type Time struct{ time.Time }

// At makes a Time of Go's, for ClientSpec.ExpiresAt.
func At(moment time.Time) *Time { return &Time{moment} }

// MarshalJSON gives milliseconds since 1970.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return strconv.AppendInt(nil, t.UnixMilli(), 10), nil
}

// UnmarshalJSON takes milliseconds since 1970, or RFC 3339 text.
func (t *Time) UnmarshalJSON(data []byte) error {
	if milliseconds, err := strconv.ParseInt(string(data), 10, 64); err == nil {
		t.Time = time.UnixMilli(milliseconds)
		return nil
	}
	return t.Time.UnmarshalJSON(data)
}
