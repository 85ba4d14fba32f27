// Figures for Prometheus: as text, as an http.Handler, and taken apart for a prometheus.Collector of yours
// (docs/GO.md has one). This package does not import Prometheus.

package smartvpn

import (
	"io"
	"net/http"
	"strconv"
	"strings"
)

// Metric is one series of a snapshot.
type Metric struct {
	Name   string // "smartvpn_sessions"
	Help   string
	Type   string // "counter", "gauge"
	Labels []Label
	Value  float64
}

// Label is a label of a series.
type Label struct{ Name, Value string }

// WritePrometheus writes all figures in the Prometheus text format 0.0.4.
func (s *Server) WritePrometheus(to io.Writer) error {
	return writePrometheus(s.Stats, to)
}

func writePrometheus(snapshot func() (*Stats, error), to io.Writer) error {
	stats, err := snapshot()
	if err != nil {
		return err
	}
	defer stats.Close()
	return stats.WritePrometheus(to)
}

// MetricsHandler serves all figures in the Prometheus text format 0.0.4; 503 while the server does not run.
func (s *Server) MetricsHandler() http.Handler { return metricsHandler(s.WritePrometheus) }

func metricsHandler(write func(io.Writer) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
			return
		}
		var text strings.Builder
		if err := write(&text); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = io.WriteString(w, text.String())
	})
}

// Metrics gives all figures as series, those of one metric one behind the other.
func (s *Server) Metrics() ([]Metric, error) { return metricsOf(s.Stats) }

func metricsOf(snapshot func() (*Stats, error)) ([]Metric, error) {
	stats, err := snapshot()
	if err != nil {
		return nil, err
	}
	defer stats.Close()
	return stats.Metrics()
}

// Metrics gives the snapshot as series.
func (s *Stats) Metrics() ([]Metric, error) {
	text, err := s.Prometheus()
	if err != nil {
		return nil, err
	}
	return parseMetrics(string(text))
}

// parseMetrics reads the text format, each metric's HELP and TYPE before its series.
func parseMetrics(text string) ([]Metric, error) {
	var out []Metric
	help, kind := map[string]string{}, map[string]string{}
	for _, line := range strings.Split(text, "\n") {
		switch {
		case strings.HasPrefix(line, "# HELP "):
			name, rest, _ := strings.Cut(line[len("# HELP "):], " ")
			help[name] = strings.NewReplacer(`\\`, `\`, `\n`, "\n").Replace(rest)
		case strings.HasPrefix(line, "# TYPE "):
			name, rest, _ := strings.Cut(line[len("# TYPE "):], " ")
			kind[name] = rest
		case line != "" && line[0] != '#':
			metric, ok := parseSeries(line)
			if !ok {
				return nil, &Error{Op: "metrics", Status: ErrInternal, Text: "cannot be read: " + line}
			}
			metric.Help, metric.Type = help[metric.Name], kind[metric.Name]
			out = append(out, metric)
		}
	}
	return out, nil
}

// parseSeries reads `name{label="value",...} number`.
func parseSeries(line string) (Metric, bool) {
	var metric Metric
	end := strings.IndexAny(line, "{ ")
	if end <= 0 {
		return metric, false
	}
	metric.Name = line[:end]
	rest := line[end:]
	if rest[0] == '{' {
		var ok bool
		if metric.Labels, rest, ok = parseLabels(rest[1:]); !ok {
			return metric, false
		}
	}
	value, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
	metric.Value = value
	return metric, err == nil
}

// parseLabels reads up to the closing brace and gives what follows it.
func parseLabels(text string) (labels []Label, rest string, ok bool) {
	for text != "" && text[0] != '}' {
		name, value, found := strings.Cut(text, `="`)
		if !found {
			return nil, "", false
		}
		var out strings.Builder
		at := 0
		for ; at < len(value) && value[at] != '"'; at++ {
			if value[at] == '\\' && at+1 < len(value) {
				if at++; value[at] == 'n' {
					out.WriteByte('\n')
					continue
				}
			}
			out.WriteByte(value[at])
		}
		if at == len(value) {
			return nil, "", false
		}
		labels = append(labels, Label{name, out.String()})
		text = strings.TrimPrefix(value[at+1:], ",")
	}
	if text == "" {
		return nil, "", false
	}
	return labels, text[1:], true
}
