// What happens, as values.

package smartvpn

// #include <smartvpn.h>
import "C"

import (
	"encoding/json"
	"time"
)

// EventType is the kind of an event. Later versions have more; skip those you do not know.
type EventType int32

// The types of events. A Tunnel has SessionUp, SessionDown, HealthChanged, Log and Lost; a Relay Listening,
// ConnectionAccepted, ConnectionRejected, ConnectionClosed, TargetChanged, Reconfigured and Lost.
const (
	Listening          EventType = C.SMARTVPN_EVENT_LISTENING
	ConnectionAccepted EventType = C.SMARTVPN_EVENT_CONNECTION_ACCEPTED
	ConnectionRejected EventType = C.SMARTVPN_EVENT_CONNECTION_REJECTED
	SessionUp          EventType = C.SMARTVPN_EVENT_SESSION_UP
	SessionDown        EventType = C.SMARTVPN_EVENT_SESSION_DOWN
	HealthChanged      EventType = C.SMARTVPN_EVENT_HEALTH_CHANGED
	ClientChanged      EventType = C.SMARTVPN_EVENT_CLIENT_CHANGED
	Log                EventType = C.SMARTVPN_EVENT_LOG
	Lost               EventType = C.SMARTVPN_EVENT_LOST // delivered whatever the filter
	Reconfigured       EventType = C.SMARTVPN_EVENT_RECONFIGURED
	SessionRoamed      EventType = C.SMARTVPN_EVENT_SESSION_ROAMED // a WireGuard client goes on from another address
	ConnectionClosed   EventType = C.SMARTVPN_EVENT_CONNECTION_CLOSED
	TargetChanged      EventType = C.SMARTVPN_EVENT_TARGET_CHANGED
)

// Event is something that happened. Which fields are set depends on the type; smartvpn.h, section 8, lists them.
type Event struct {
	Type EventType `json:"-"`
	Name string    `json:"type"` // the type as text, such as "session_up"
	Time Time      `json:"time"`

	Listener   int               `json:"listener"` // index into Config.Listen
	Transport  Transport         `json:"transport"`
	Address    string            `json:"address"`     // Listening
	RemoteAddr string            `json:"remote_addr"` // the client's real address; "" if unknown
	PeerAddr   string            `json:"peer_addr"`   // the socket's, which may be a proxy
	TLVs       map[string]string `json:"tlvs"`        // of the PROXY header

	SessionID uint64   `json:"session_id"`
	ClientID  string   `json:"client_id"`
	Addresses []string `json:"addresses"` // inner
	Health    string   `json:"health"`    // "good", "fair", "poor", "dead"; TargetChanged: "up", "down"
	RTTMicros uint32   `json:"rtt_us"`

	ConnectionID uint64 `json:"connection_id"` // of a relay, as the next three
	Host         string `json:"host"`          // the name the client asked for
	Route        string `json:"route"`
	Target       string `json:"target"`

	Reason     string `json:"reason"`
	Detail     string `json:"detail"`
	DurationMS int64  `json:"duration_ms"`
	BytesIn    uint64 `json:"bytes_in"`
	BytesOut   uint64 `json:"bytes_out"`

	Change   string            `json:"change"` // ClientChanged: "created", "updated", ...
	Revision uint64            `json:"revision"`
	Changes  map[string]string `json:"changes"` // Reconfigured: path to result
	Level    string            `json:"level"`   // Log
	Message  string            `json:"message"` // Log
	Count    uint64            `json:"count"`   // Lost: how many; ConnectionRejected: so many since the last report
	Lane     string            `json:"lane"`    // Lost

	Raw json.RawMessage `json:"-"` // one line, with every key, also those of later versions
}

// Duration is how long a session (SessionDown) or a relay's connection (ConnectionClosed) lasted.
func (e Event) Duration() time.Duration { return time.Duration(e.DurationMS) * time.Millisecond }

// RTT is a session's round-trip time (HealthChanged).
func (e Event) RTT() time.Duration { return time.Duration(e.RTTMicros) * time.Microsecond }

// String gives the line of JSON.
func (e Event) String() string { return string(e.Raw) }

func parseEvent(kind EventType, line []byte) (Event, error) {
	event := Event{Type: kind, Raw: line}
	return event, decode("events", line, &event)
}

func maskOf(types []EventType) (C.uint64_t, error) {
	if len(types) == 0 {
		return C.SMARTVPN_EVENTS_ALL, nil
	}
	mask := uint64(0)
	for _, kind := range types {
		if kind < 0 || kind > 63 {
			return 0, invalid("events", "", "there is no such type of event")
		}
		mask |= 1 << uint(kind)
	}
	return C.uint64_t(mask), nil
}
