// Command servers runs the real program against real IMAP servers and says
// whether the store is what the server holds:
//
//	go run ./bench/servers -server cyrus,courier
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
// names. They get there by:
//
//	maddy: CGO_ENABLED=1 go build ./cmd/maddy in a copy of github.com/foxcpp/maddy@v0.8.1
//	gluon: CGO_ENABLED=1 go install github.com/ProtonMail/gluon/demo@v0.17.1-0.20230724134000-308be39be96e
//	hoodiecrow: npm install hoodiecrow-imap@2.1.0
//
// gluon and hoodiecrow keep nothing, so they are not started anew.
//
// What changes follows -seed. How it falls together with a kill does not.
package main
