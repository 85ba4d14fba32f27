// Package prometheus stands in for the real one in a test without a network: the names that a collector uses, with
// their real signatures.
package prometheus

import "fmt"

// ValueType is the kind of a metric.
type ValueType int

// The kinds that the library has.
const (
	_ ValueType = iota
	CounterValue
	GaugeValue
)

// Desc describes a metric.
type Desc struct {
	name, help string
	labels     []string
}

// Labels are constant labels.
type Labels map[string]string

// NewDesc makes a Desc.
func NewDesc(fqName, help string, variableLabels []string, _ Labels) *Desc {
	return &Desc{fqName, help, variableLabels}
}

// Metric is one series.
type Metric interface{ Desc() *Desc }

// Collector gives metrics.
type Collector interface {
	Describe(chan<- *Desc)
	Collect(chan<- Metric)
}

type constMetric struct{ desc *Desc }

func (m constMetric) Desc() *Desc { return m.desc }

// MustNewConstMetric makes a metric of a value.
func MustNewConstMetric(desc *Desc, kind ValueType, _ float64, labelValues ...string) Metric {
	if len(labelValues) != len(desc.labels) || kind != CounterValue && kind != GaugeValue || desc.name == "" || desc.help == "" {
		panic(fmt.Sprint("a wrong metric: ", desc, kind, labelValues))
	}
	return constMetric{desc}
}

// NewInvalidMetric makes a metric that reports an error.
func NewInvalidMetric(desc *Desc, _ error) Metric { return constMetric{desc} }

// NewInvalidDesc makes a Desc that reports an error.
func NewInvalidDesc(error) *Desc { return &Desc{} }
