// Command servers runs the real program against real IMAP servers and says
// whether the store is what the server holds:
//
//	MAILCOTE_LONG=1 go run ./bench/servers -server cyrus,courier
//
// Each server gets mailboxes with odd names. Then come rounds of random
// changes: mail arrives, is flagged, copied, moved and deleted; mailboxes are
// made, renamed and deleted. In some rounds the program is killed in the middle
// of a sync, and now and then the server is started anew. After each round the
// store is compared with the server, line by line. In the end the commands of a
// sync without news are printed.
//
// Dovecot must be installed. Cyrus and Courier are unpacked by `.ci/run
// install`. maddy, gluon and hoodiecrow are looked for in the directory -extra
// names; doc.go of package main says how they get there:
//
//	maddy: go build of github.com/foxcpp/maddy/cmd/maddy, as maddy
//	gluon: go install of github.com/ProtonMail/gluon/demo, as demo
//	hoodiecrow: npm install hoodiecrow-imap, as node_modules/hoodiecrow-imap
//
// What changes follows -seed. How it falls together with a kill does not.
package main
