package web

import (
	_ "embed"
	"strings"
	"testing"

	"mailcote/testkit/chromium"
)

//go:embed static/stream.js
var streamJS string

// streamRun runs the stream with a clock and a server of its own, and gives
// what the page hears.
const streamRun = `(() => {
	let now = 0;
	const timers = [], opened = [], heard = [], self = {};
	const setTimeout = (call, wait) => timers.push({call, at: now + wait});
	const clearTimeout = id => { if (id) timers[id - 1].call = null; };
	const pass = time => {
		const end = now + time;
		for (;;) {
			const due = timers.filter(t => t.call && t.at <= end).sort((a, b) => a.at - b.at)[0];
			if (!due) break;
			now = due.at;
			const call = due.call;
			due.call = null;
			call();
		}
		now = end;
	};
	class EventSource {
		constructor() { opened.push(this); }
		addEventListener(name, call) { this[name] = call; }
		close() { this.closed = true; }
	}
	STREAM
	const note = what => heard.push(what + ' at ' + now / 1000);
	const stream = listen('', message => note(message.lost ? 'lost' : 'progress ' + message.progress));
	stream.open();
	opened[0].onmessage({data: '1'});
	pass(20000);
	opened[0].beat();
	pass(26000);
	note(opened[0].closed && opened.length === 2 ? 'tried again' : 'not tried again');
	pass(25000);
	pass(1000);
	opened[2].onmessage({data: '2'});
	stream.close();
	pass(60000);
	return heard;
})()`

// TestStreamNoticesSilence: a server that takes the connection and then says
// nothing for 25 s is lost to the page. It is tried again until it answers.
func TestStreamNoticesSilence(t *testing.T) {
	tab := chromium.Start(t).Open("about:blank")
	defer tab.Close()
	var heard []string
	if err := tab.Eval(strings.Replace(streamRun, "STREAM", streamJS, 1), &heard); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(heard, ", ")
	if want := "progress 1 at 0, lost at 45, tried again at 46, lost at 71, progress 2 at 72"; got != want {
		t.Errorf("the page hears %s\nwant %s", got, want)
	}
}
