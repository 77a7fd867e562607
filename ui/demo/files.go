package demo

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"strings"
	"time"
)

// makeFile makes a small but valid file from "kind name". The kinds are
// pdf, png, csv and ics.
func makeFile(rng *rand.Rand, spec, title string, when time.Time) (file, error) {
	kind, name, _ := strings.Cut(spec, " ")
	switch kind {
	case "pdf":
		return file{name, "application/pdf", makePDF(name, when)}, nil
	case "png":
		body, err := makePNG(rng)
		return file{name, "image/png", body}, err
	case "csv":
		return file{name, "text/csv", makeCSV(rng, when)}, nil
	case "ics":
		return file{name, "text/calendar", makeICS(title, when)}, nil
	}
	return file{}, fmt.Errorf("unknown attachment kind %q", kind)
}

// makePDF writes a one-page document with a correct cross-reference table.
func makePDF(title string, when time.Time) []byte {
	title = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || strings.ContainsRune(`()\`, r) {
			return -1
		}
		return r
	}, title)
	page := fmt.Sprintf("BT /F1 22 Tf 72 760 Td (%s) Tj /F1 12 Tf 0 -36 Td (%s) Tj ET\n0.6 w 72 700 450 -300 re S 72 "+
		"550 m 522 550 l S",
		title, when.UTC().Format("2006-01-02"))
	objects := []string{
		"<< /Type /Catalog /Pages 2 0 R >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> " +
			">>",
		fmt.Sprintf("<< /Length %d >>\nstream\n%s\nendstream", len(page), page),
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
	}
	var b bytes.Buffer
	b.WriteString("%PDF-1.4\n")
	offsets := make([]int, len(objects))
	for i, o := range objects {
		offsets[i] = b.Len()
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	xref := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, o := range offsets {
		fmt.Fprintf(&b, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, xref)
	return b.Bytes()
}

// makePNG paints hills under an evening sky.
func makePNG(rng *rand.Rand) ([]byte, error) {
	const w, h = 320, 200
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	warm, phase := 120+rng.IntN(100), rng.Float64()*6
	for y := range h {
		for x := range w {
			img.Set(x, y, color.RGBA{R: uint8(warm + y/4), G: uint8(90 + y/2), B: uint8(200 - y/2), A: 255})
		}
	}
	for layer := range 4 {
		shade := uint8(110 - 25*layer)
		for x := range w {
			at := float64(x)/(38-6*float64(layer)) + phase*float64(layer+1)
			top := 90 + 26*layer + int(12*math.Sin(at)+6*math.Sin(2.3*at))
			for y := max(top, 0); y < h; y++ {
				img.Set(x, y, color.RGBA{R: shade / 2, G: shade, B: shade * 3 / 4, A: 255})
			}
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return nil, fmt.Errorf("paint a picture: %w", err)
	}
	return b.Bytes(), nil
}

func makeCSV(rng *rand.Rand, when time.Time) []byte {
	var b bytes.Buffer
	b.WriteString("date,what,amount,remark\r\n")
	whats := []string{"lamp oil", "rope", "honey", "oak boards", "tea", "postage", "varnish"}
	for i := range 12 + rng.IntN(30) {
		day := when.AddDate(0, 0, -3*i).UTC().Format("2006-01-02")
		fmt.Fprintf(&b, "%s,%s,%d.%02d,\"no. %d\"\r\n", day, whats[rng.IntN(len(whats))], 1+rng.IntN(90),
			rng.IntN(100), 100+i)
	}
	return b.Bytes()
}

// makeICS writes an invitation for the week after when (RFC 5545).
func makeICS(title string, when time.Time) []byte {
	start := when.UTC().AddDate(0, 0, 7).Truncate(time.Hour)
	const stamp = "20060102T150405Z"
	clean := strings.NewReplacer(`\`, `\\`, ";", `\;`, ",", `\,`, "\n", " ").Replace(title)
	uid := crc32.ChecksumIEEE([]byte(title + start.String()))
	return []byte(strings.Join([]string{
		"BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//example.org//demo//EN", "METHOD:REQUEST", "BEGIN:VEVENT",
		fmt.Sprintf("UID:%08x@example.org", uid), "DTSTAMP:" + when.UTC().Format(stamp),
		"DTSTART:" + start.Format(stamp), "DTEND:" + start.Add(2*time.Hour).Format(stamp),
		"SUMMARY:" + clean, "END:VEVENT", "END:VCALENDAR", "",
	}, "\r\n"))
}
