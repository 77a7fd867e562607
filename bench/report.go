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
	return []row{
		{"first sync (searchable)", func(r result) float64 { return r.first.wall.Seconds() }, seconds},
		{"to readable", func(r result) float64 { return r.readable.Seconds() }, seconds},
		{"from there to searchable", func(r result) float64 { return r.searchable.Seconds() }, seconds},
		{"messages/s", func(r result) float64 { return float64(messages) / r.first.wall.Seconds() },
			plain("%.0f")},
		{"CPU (user + system)", func(r result) float64 { return r.first.cpu.Seconds() }, seconds},
		{"CPU of the server", func(r result) float64 { return r.first.server.Seconds() }, seconds},
		{"peak RSS", func(r result) float64 { return float64(r.first.rss) }, size},
		{"on the wire", func(r result) float64 { return float64(r.first.wire) }, size},
		{"store", func(r result) float64 { return float64(r.store) }, size},
		{"store / raw", func(r result) float64 { return float64(r.store) / float64(raw) }, plain("%.2f")},
		{"second sync", func(r result) float64 { return r.second.wall.Seconds() }, seconds},
		{"its CPU", func(r result) float64 { return r.second.cpu.Seconds() }, seconds},
		{"its bytes", func(r result) float64 { return float64(r.second.wire) }, size},
		{"CPU of the server", func(r result) float64 { return r.second.server.Seconds() }, seconds},
	}
}

// report prints the medians, one column a program. After each program but the
// first comes the first one's share of it: the median of the shares of the
// rounds, so that what slows a whole round down does not count.
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
		for i, c := range columns {
			fmt.Fprint(t, "\t"+known(median(c.results, row.value), row.show))
			if i > 0 {
				share := middle(sharesOf(columns[0].results, c.results, row.value))
				fmt.Fprint(t, "\t"+known(share, plain("%.2f")))
			}
		}
		fmt.Fprintln(t, "\t")
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "ratio: %s / the program before it, the median of the rounds. First syncs by round:\n",
		columns[0].name)
	for _, c := range columns {
		fmt.Fprintf(w, "  %s:", c.name)
		for _, r := range c.results {
			fmt.Fprintf(w, " %s", seconds(r.first.wall.Seconds()))
		}
		fmt.Fprintln(w)
	}
	return nil
}

func plain(format string) func(float64) string {
	return func(v float64) string { return fmt.Sprintf(format, v) }
}

func known(v float64, show func(float64) string) string {
	if v == 0 {
		return "-"
	}
	return show(v)
}

// sharesOf gives a value of ours as a share of theirs, round by round. Rounds in
// which one is not known are left out.
func sharesOf(ours, theirs []result, value func(result) float64) (shares []float64) {
	for i := range min(len(ours), len(theirs)) {
		if a, b := value(ours[i]), value(theirs[i]); a != 0 && b != 0 {
			shares = append(shares, a/b)
		}
	}
	return shares
}

func median(all []result, value func(result) float64) float64 {
	values := make([]float64, len(all))
	for i, r := range all {
		values[i] = value(r)
	}
	return middle(values)
}

// middle is the median; 0 of nothing.
func middle(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return 0
	}
	slices.Sort(values)
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
