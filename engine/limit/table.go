package limit

import "time"

const (
	mb = int64(1_000_000)
	kb = 1000
)

// ourChoice is the source of figures that we chose ourselves.
const ourChoice = "ours: nothing is published; few at first, and the server's refusals are learned from"

// Profiles returns the known providers, then the known servers. The first match
// wins.
func Profiles() []Profile {
	all := append(providers(), servers()...)
	for i := range all {
		all[i] = all[i].withDefaults()
	}
	return all
}

func providers() []Profile {
	return []Profile{
		{
			Name: "gmail", Hosts: []string{"imap.gmail.com", "imap.googlemail.com"}, Marks: []string{"X-GM-EXT-1"},
			Start: 3, Most: 8, Day: 2500 * mb, Largest: 35_651_584, Line: 16 * kb,
			Sources: []Source{
				{connections, "documented: support.google.com 97150, 15 of an account, shared with the person's " +
					"other mail programs; wildduck issue 35"},
				{day, "documented: support.google.com 1071518, 2,500 MB down a day over IMAP"},
				{largest, "published trace: APPENDLIMIT, neomutt issue 3458"},
				{line, "source: MailKit ImapEngine, 16 kB"},
			},
		},
		{
			Name: "microsoft", Hosts: []string{"outlook.office365.com", "outlook.office.com", "imap-mail.outlook.com",
				"outlook.com", "hotmail.com", "office365.us", "partner.outlook.cn"},
			Start: 2, Most: 4, Messages: 4, Hour: 300 * mb, Largest: 45 * mb, Line: 4096, UIDs: 1000,
			Sources: []Source{
				{connections, "users' reports: about 20 at once, node-imap issue 523; connecting often is punished"},
				{messages, "imapsync's default for Office 365; kept to only after a throttle, while the pace is " +
					"reduced"},
				{hour, "users' reports: imapsync FAQ.Office365, called theoretical there"},
				{largest, "imapsync's default for Office 365"},
				{line, "users' reports: Mailspring-Sync issue 5, longer lines get error 12"},
				{uids, "users' reports: Mailspring-Sync issue 5, more get error 10"},
			},
		},
		{
			Name: "icloud", Hosts: []string{"imap.mail.me.com", "imap.mail.icloud.com", "mail.me.com"},
			Start: 2, Most: 4, Distrust: []string{"QRESYNC"},
			Sources: []Source{
				{connections, "users' reports: about 5, unverified; mailflow issue 369"},
				{distrust, "users' reports: Mailspring-Sync issue 91, no ENABLED and malformed VANISHED"},
			},
		},
		{
			Name: "yahoo", Hosts: []string{"mail.yahoo.com", "yahoo.com", "imap.aol.com", "aol.com"},
			Marks: []string{"XYMHIGHESTMODSEQ"},
			Start: 2, Most: 4, Line: 1000, UIDs: 1000, Distrust: []string{"CONDSTORE", "QRESYNC"}, NoIdle: true,
			Sources: []Source{
				{connections, "users' reports: about 10, unverified"},
				{line, "source: MailKit ImapEngine, 1000 octets"},
				{uids, "documented: RFC 9738, written with Yahoo; the figure it announces counts where it is lower"},
				{distrust, "users' reports: whiteout imap-client issue 40, HIGHESTMODSEQ without CONDSTORE, " +
					"CHANGEDSINCE fails"},
				{noIdle, "users' reports: falls silent"},
			},
		},
		{
			Name: "fastmail", Hosts: []string{"fastmail.com", "messagingengine.com"},
			Start: 2, Most: 8, DialEvery: 2 * time.Second,
			Sources: []Source{
				{connections, "ours: nothing is published, ten are assumed, two of them the person's"},
				{dialEvery, "published trace: OpenArchiver issue 37, 500 sign-ins in 10 minutes are refused; ours is " +
					"300"},
			},
		},
		{
			Name: "zoho", Hosts: []string{"zoho.com", "zoho.eu", "zoho.in", "zoho.com.au", "zoho.com.cn", "zoho.jp",
				"zohocloud.ca"},
			Start: 1, Most: 2, Distrust: []string{"CONDSTORE", "QRESYNC"},
			Sources: []Source{
				{connections, "users' reports: about 3, shared with the person's other mail programs, mailflow " +
					"4.5.1; documented: unusual activity is blocked"},
				{distrust, "published trace: zetacomponents/Mail issue 97, MODSEQ may be -1"},
			},
		},
		{
			Name: "gmx", Hosts: []string{"gmx.net", "gmx.com", "gmx.de", "web.de"}, Start: 2, Most: 4,
			Sources: []Source{{connections, ourChoice}},
		},
		{
			Name: "yandex", Hosts: []string{"yandex.ru", "yandex.com"}, Start: 2, Most: 4,
			Sources: []Source{{connections, ourChoice}},
		},
		{
			Name: "mail.ru", Hosts: []string{"mail.ru"}, Start: 2, Most: 4, NoIdle: true, Poll: time.Minute,
			Sources: []Source{
				{connections, ourChoice},
				{noIdle, "published trace: chatmail/core issue 1868"},
				{poll, "ours: without IDLE, a look a minute"},
			},
		},
		{
			Name: "qq", Hosts: []string{"imap.qq.com", "imap.exmail.qq.com", "exmail.qq.com"}, Start: 1, Most: 2,
			NoIdle: true, Poll: time.Minute,
			Sources: []Source{
				{connections, ourChoice},
				{noIdle, "users' reports: none"},
				{poll, "ours: without IDLE, a look a minute"},
			},
		},
		{
			Name: "netease", Hosts: []string{"163.com", "126.com", "yeah.net", "188.com"}, IDs: []string{"coremail"},
			Start: 1, Most: 2, IDFirst: true, NoIdle: true, Poll: time.Minute,
			Sources: []Source{
				{connections, ourChoice},
				{idFirst, "published trace: mailcore2 issue 1113, SELECT is refused as an unsafe login without it"},
				{noIdle, "published trace: mailcore2 issue 1113"},
				{poll, "ours: without IDLE, a look a minute"},
			},
		},
	}
}

func servers() []Profile {
	return []Profile{
		{
			Name: "exchange", IDs: []string{"microsoft.exchange", "microsoft exchange"},
			Greetings: []string{"microsoft exchange"},
			Start:     2, Most: 4, Line: 4096, UIDs: 1000, Distrust: []string{"IMAP4REV2"},
			Sources: []Source{
				{connections, "documented: learn.microsoft.com, 16 of a person; ours is a quarter"},
				{line, "as Microsoft 365"},
				{uids, "as Microsoft 365"},
				{distrust, "source: imapflow list.js, IMAP4rev2 is offered and refused"},
			},
		},
		{
			Name: "proton-bridge", IDs: []string{"proton", "gluon"}, Greetings: []string{"proton", "gluon"}, Start: 4,
			Most: 4, Distrust: []string{"SPECIAL-USE"},
			Sources: []Source{
				{connections, "ours: it runs on this machine"},
				{distrust, "users' reports: MailKit issue 674, a LIST that asks for special use gets BAD"},
			},
		},
		{
			Name: "davmail", IDs: []string{"davmail"}, Greetings: []string{"davmail"}, Start: 2, Most: 2,
			Sources: []Source{{connections, "ours: Exchange stands behind it"}},
		},
		{
			Name: "dovecot", IDs: []string{"dovecot"}, Greetings: []string{"dovecot"}, Start: 2, Most: 8, Line: 8 * kb,
			Sources: []Source{
				{connections, "documented: doc.dovecot.org, mail_max_userip_connections is 10; two are left to others"},
				{line, "source: MailKit ImapEngine, 64 kB; ours is an eighth"},
			},
		},
		{
			Name: "cyrus", IDs: []string{"cyrus"}, Greetings: []string{"cyrus"}, Start: 2, Most: 4, Line: 8 * kb,
			Distrust: []string{"OBJECTID"},
			Sources: []Source{
				{connections, "documented: cyrusimap.org, maxlogins_per_user is the operator's"},
				{line, "source: MailKit ImapEngine, 8000 octets"},
				{distrust, "seen: Cyrus 3.6.1 says freed memory, line ends too, as MAILBOXID of STATUS"},
			},
		},
		{
			Name: "courier", IDs: []string{"courier"}, Greetings: []string{"courier"}, Start: 1, Most: 2, Line: 8 * kb,
			Sources: []Source{
				{connections, "documented: MAXPERIP is 4 for a whole household"},
				{line, "source: MailKit ImapEngine, 16 kB a word; ours is half"},
			},
		},
		{
			Name: "hmailserver", IDs: []string{"hmailserver"}, Greetings: []string{"hmailserver"}, Start: 2, Most: 2,
			Sources: []Source{{connections, "ours: the operator sets it"}},
		},
		{
			Name: "stalwart", IDs: []string{"stalwart"}, Greetings: []string{"stalwart"}, Start: 2, Most: 8,
			Commands: 2000,
			Sources: []Source{
				{connections, "documented: stalw.art, 16 of a person; ours is half"},
				{commands, "documented: stalw.art, 2,000 a minute, more are refused"},
			},
		},
	}
}
