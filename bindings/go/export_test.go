// What only tests may do.

package smartvpn

import "testing"

// CloseAllForTest closes what runs and nobody holds.
func CloseAllForTest(t *testing.T) {
	count := 0
	running.Range(func(key, _ interface{}) bool {
		switch one := key.(type) {
		case *Server:
			one.Close()
			count++
		case *Relay:
			one.Close()
			count++
		}
		return true
	})
	if count == 0 {
		t.Error("nothing was running")
	}
}

// ParseMetrics is the parser of the text format.
var ParseMetrics = parseMetrics
