// Package collector gives a server's figures to a Prometheus registry.
package collector

import (
	"github.com/prometheus/client_golang/prometheus"
	smartvpn "github.com/smartvpn/smartvpn/bindings/go"
)

// Collector is a prometheus.Collector: registry.MustRegister(Collector{server}).
type Collector struct{ Server *smartvpn.Server }

// Describe says nothing, so that the registry takes whatever Collect gives.
func (Collector) Describe(chan<- *prometheus.Desc) {}

// Collect gives one snapshot.
func (c Collector) Collect(out chan<- prometheus.Metric) {
	metrics, err := c.Server.Metrics()
	if err != nil {
		out <- prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(err), err)
	}
	for _, metric := range metrics {
		var names, values []string
		for _, label := range metric.Labels {
			names, values = append(names, label.Name), append(values, label.Value)
		}
		kind := prometheus.GaugeValue
		if metric.Type == "counter" {
			kind = prometheus.CounterValue
		}
		desc := prometheus.NewDesc(metric.Name, metric.Help, names, nil)
		out <- prometheus.MustNewConstMetric(desc, kind, metric.Value, values...)
	}
}
