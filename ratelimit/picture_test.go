package ratelimit_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite picture.svg and the table in README.md")

const (
	pictureFile  = "picture.svg"
	pictureLimit = 120
)

// pictureAttack begins half a second before a full minute and asks 500 times a second.
var pictureAttack = attack{begin: 59500 * time.Millisecond, end: 240 * time.Second, every: 2 * time.Millisecond}

// TestPicture holds picture.svg to what the simulation draws; -update rewrites it.
func TestPicture(t *testing.T) {
	drawn := drawPicture([]panel{
		{"Fixed window", "counts per full minute", pictureAttack.against(fixedWindow(pictureLimit))},
		{"Sliding counter", "this minute plus a share of the last", pictureAttack.against(slidingCounter(pictureLimit))},
		{"GCRA, full burst", "a bucket as large as the limit", pictureAttack.against(fullBurstGCRA(pictureLimit))},
		{"This package", "the trailing minute itself", pictureAttack.against(ours(t, pictureLimit))},
	})
	if *update {
		if err := os.WriteFile(pictureFile, []byte(drawn), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	kept, err := os.ReadFile(pictureFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(kept) != drawn {
		t.Fatalf("%s is not what the simulation draws: go test ./ratelimit -run TestPicture -update", pictureFile)
	}
}

// panel is one limiter under the attack.
type panel struct {
	name, how string
	passed    []time.Duration
}

// Sizes in the picture's own units.
const (
	pictureWide, pictureHigh = 920, 596
	plotWide, plotHigh       = 372, 168
	plotMost                 = 270.0 // requests at the top of a plot
	sampleEvery              = 250 * time.Millisecond
)

const pictureStyle = `
  .page { fill: #ffffff; stroke: #d8dee4; }
  .name { fill: #1f2328; font-weight: 650; font-size: 16px; }
  .how, .tick { fill: #59636e; font-size: 12px; }
  .head { fill: #1f2328; font-weight: 650; font-size: 19px; }
  .sub { fill: #59636e; font-size: 13px; }
  .grid { stroke: #e4e8ec; stroke-width: 1; }
  .minute { stroke: #d8dee4; stroke-width: 1; stroke-dasharray: 2 4; }
  .limit { stroke: #1f2328; stroke-width: 1.25; stroke-dasharray: 6 4; }
  .under { fill: #0969da; fill-opacity: .16; }
  .over { fill: #cf222e; fill-opacity: .22; }
  .line { fill: none; stroke: #0969da; stroke-width: 2; stroke-linejoin: round; }
  .hot { fill: none; stroke: #cf222e; stroke-width: 2; stroke-linejoin: round; }
  .most { font-weight: 650; font-size: 13px; text-anchor: end; }
  .bad { fill: #cf222e; } .good { fill: #1a7f37; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; stroke: #30363d; }
    .name, .head { fill: #f0f6fc; }
    .how, .tick, .sub { fill: #9198a1; }
    .grid, .minute { stroke: #30363d; }
    .limit { stroke: #f0f6fc; }
    .under { fill: #4493f8; fill-opacity: .22; }
    .over { fill: #f85149; fill-opacity: .28; }
    .line { stroke: #4493f8; }
    .hot { stroke: #f85149; }
    .bad { fill: #ff7b72; } .good { fill: #3fb950; }
  }
`

func drawPicture(panels []panel) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-labelledby="title desc" `+
		`font-family="system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif">`+"\n", pictureWide, pictureHigh)
	b.WriteString(`<title id="title">What four rate limiters let through in any minute</title>` + "\n")
	fmt.Fprintf(&b, `<desc id="desc">Limit %d a minute, a client that begins half a second before a full minute and never stops asking.`, pictureLimit)
	for _, p := range panels {
		_, most := worst(p.passed)
		fmt.Fprintf(&b, " %s: at most %d in a minute.", p.name, most)
	}
	b.WriteString("</desc>\n<style>" + pictureStyle + "</style>\n")
	fmt.Fprintf(&b, `<rect class="page" x=".5" y=".5" width="%d" height="%d" rx="10"/>`+"\n", pictureWide-1, pictureHigh-1)
	fmt.Fprintf(&b, `<text class="head" x="66" y="44">Let through in the last 60 seconds, limit %d</text>`+"\n", pictureLimit)
	b.WriteString(`<text class="sub" x="66" y="67">A client waits until half a second before a full minute and then never stops asking.</text>` + "\n")
	for i, p := range panels {
		fmt.Fprintf(&b, `<g transform="translate(%d %d)">`+"\n", 66+i%2*442, 138+i/2*250)
		p.draw(&b)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func plotX(at time.Duration) float64 {
	return plotWide * at.Seconds() / pictureAttack.end.Seconds()
}

func plotY(n float64) float64 { return plotHigh * (1 - n/plotMost) }

func (p panel) draw(b *strings.Builder) {
	at, most := worst(p.passed)
	verdict := "bad"
	if most <= pictureLimit {
		verdict = "good"
	}
	fmt.Fprintf(b, `<text class="name" x="0" y="-28">%s</text><text class="how" x="0" y="-11">%s</text>`+"\n", p.name, p.how)
	fmt.Fprintf(b, `<text class="most %s" x="%d" y="-28">at most %d, %.2f × the limit</text>`+"\n",
		verdict, plotWide, most, float64(most)/pictureLimit)
	for _, n := range []int{0, pictureLimit, 2 * pictureLimit} {
		fmt.Fprintf(b, `<line class="grid" x1="0" x2="%d" y1="%.1f" y2="%.1f"/><text class="tick" x="-8" y="%.1f" text-anchor="end">%d</text>`+"\n",
			plotWide, plotY(float64(n)), plotY(float64(n)), plotY(float64(n))+4, n)
	}
	for minute := time.Duration(0); minute <= pictureAttack.end; minute += attackSpan {
		fmt.Fprintf(b, `<line class="minute" x1="%.1f" x2="%.1f" y1="0" y2="%d"/><text class="tick" x="%.1f" y="%d" text-anchor="middle">%d s</text>`+"\n",
			plotX(minute), plotX(minute), plotHigh, plotX(minute), plotHigh+18, int(minute.Seconds()))
	}
	p.curve(b)
	fmt.Fprintf(b, `<line class="limit" x1="0" x2="%d" y1="%.1f" y2="%.1f"/>`+"\n", plotWide, plotY(pictureLimit), plotY(pictureLimit))
	fmt.Fprintf(b, `<circle class="%s" cx="%.1f" cy="%.1f" r="4"/>`+"\n", verdict, plotX(at), plotY(float64(most)))
}

// curve draws the trailing count, red where it is over the limit.
func (p panel) curve(b *strings.Builder) {
	under := fmt.Sprintf("M0 %.1f", plotY(0))
	over := fmt.Sprintf("M0 %.1f", plotY(pictureLimit))
	var line, hot string
	pen, hotPen := "M", "M"
	counts := p.counts()
	for i, n := range counts {
		if i > 0 && i < len(counts)-1 && n == counts[i-1] && n == counts[i+1] {
			continue // on a level stretch
		}
		x, count := plotX(time.Duration(i)*sampleEvery), float64(n)
		under += fmt.Sprintf("L%.1f %.1f", x, plotY(min(count, pictureLimit)))
		over += fmt.Sprintf("L%.1f %.1f", x, plotY(max(count, pictureLimit)))
		line += fmt.Sprintf("%s%.1f %.1f", pen, x, plotY(count))
		pen = "L"
		if n > pictureLimit {
			hot += fmt.Sprintf("%s%.1f %.1f", hotPen, x, plotY(count))
			hotPen = "L"
		} else {
			hotPen = "M"
		}
	}
	fmt.Fprintf(b, `<path class="under" d="%sL%d %.1fZ"/>`+"\n", under, plotWide, plotY(0))
	fmt.Fprintf(b, `<path class="over" d="%sL%d %.1fZ"/>`+"\n", over, plotWide, plotY(pictureLimit))
	fmt.Fprintf(b, `<path class="line" d="%s"/>`+"\n", line)
	if hot != "" {
		fmt.Fprintf(b, `<path class="hot" d="%s"/>`+"\n", hot)
	}
}

// counts samples what passed in the trailing window.
func (p panel) counts() (counts []int) {
	for at := time.Duration(0); at <= pictureAttack.end; at += sampleEvery {
		counts = append(counts, trailing(p.passed, at))
	}
	return counts
}
