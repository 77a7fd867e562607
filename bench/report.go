package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// column is one program's results, one a round.
type column struct {
	name    string
	results []result
}

// row is one line of the report; 0 is a value that is not known.
type row struct {
	name  string
	value func(result) float64
	show  func(float64) string
}

func rows(raw int64, messages int) []row {
	plain := func(format string) func(float64) string {
		return func(v float64) string { return fmt.Sprintf(format, v) }
	}
	return []row{
		{"first sync (searchable)", func(r result) float64 { return r.first.wall.Seconds() }, seconds},
		{"to readable", func(r result) float64 { return r.readable.Seconds() }, seconds},
		{"messages/s", func(r result) float64 { return float64(messages) / r.first.wall.Seconds() }, plain("%.0f")},
		{"CPU", func(r result) float64 { return r.first.cpu.Seconds() }, seconds},
		{"peak RSS", func(r result) float64 { return float64(r.first.rss) }, size},
		{"on the wire", func(r result) float64 { return float64(r.first.wire) }, size},
		{"store", func(r result) float64 { return float64(r.store) }, size},
		{"store / raw", func(r result) float64 { return float64(r.store) / float64(raw) }, plain("%.2f")},
		{"second sync", func(r result) float64 { return r.second.wall.Seconds() }, seconds},
		{"its CPU", func(r result) float64 { return r.second.cpu.Seconds() }, seconds},
		{"its bytes", func(r result) float64 { return float64(r.second.wire) }, size},
	}
}

// report prints the medians, one column a program. After each program but the
// first comes the first one's share of it.
func report(w io.Writer, columns []column, raw int64, messages int) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for i, c := range columns {
		fmt.Fprint(t, "\t"+c.name)
		if i > 0 {
			fmt.Fprint(t, "\tratio")
		}
	}
	fmt.Fprintln(t, "\t")
	for _, row := range rows(raw, messages) {
		fmt.Fprint(t, row.name)
		first := median(columns[0].results, row.value)
		for i, c := range columns {
			v := median(c.results, row.value)
			fmt.Fprint(t, "\t"+known(v, row.show))
			if i > 0 {
				share := 0.0
				if v > 0 {
					share = first / v
				}
				fmt.Fprint(t, "\t"+known(share, func(v float64) string { return fmt.Sprintf("%.2f", v) }))
			}
		}
		fmt.Fprintln(t, "\t")
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "ratio: %s / the program before it. First syncs by round:\n", columns[0].name)
	for _, c := range columns {
		fmt.Fprintf(w, "  %s:", c.name)
		for _, r := range c.results {
			fmt.Fprintf(w, " %s", seconds(r.first.wall.Seconds()))
		}
		fmt.Fprintln(w)
	}
	return nil
}

func known(v float64, show func(float64) string) string {
	if v == 0 {
		return "-"
	}
	return show(v)
}

func median(all []result, value func(result) float64) float64 {
	values := make([]float64, len(all))
	for i, r := range all {
		values[i] = value(r)
	}
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

func seconds(v float64) string { return fmt.Sprintf("%.3f s", v) }

// size shows bytes with a decimal unit.
func size(n float64) string {
	switch {
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", n/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f kB", n/1e3)
	}
	return fmt.Sprintf("%.0f B", n)
}
