// Reads a dashboard with the types that Grafana generates from its schemas. Fails on a field or an option that they do
// not know, on one that they require, and on a panel or a query of a kind that is not registered below.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

func main() {
	runtime := cog.NewRuntime()
	runtime.RegisterPanelcfgVariant(stat.VariantConfig())
	runtime.RegisterPanelcfgVariant(statetimeline.VariantConfig())
	runtime.RegisterPanelcfgVariant(table.VariantConfig())
	runtime.RegisterPanelcfgVariant(timeseries.VariantConfig())
	runtime.RegisterDataqueryVariant(prometheus.VariantConfig())
	if err := check(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func check(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var read dashboard.Dashboard
	if err := found(read.UnmarshalJSONStrict(text)); err != nil {
		return err
	}
	if err := found(read.Validate()); err != nil {
		return err
	}
	known := map[string]bool{"stat": true, "state-timeline": true, "table": true, "timeseries": true}
	for _, panel := range read.Panels {
		// The types keep the options of a kind that they do not know, whatever they are.
		if panel.Panel != nil && !known[panel.Panel.Type] {
			return fmt.Errorf("`%s` is a panel of type %s: register it in grafana/types", *panel.Panel.Title, panel.Panel.Type)
		}
	}
	return nil
}

// found drops an error that lists nothing: the types return one where all is well.
func found(err error) error {
	var errs cog.BuildErrors
	if errors.As(err, &errs) && len(errs) == 0 {
		return nil
	}
	return err
}
