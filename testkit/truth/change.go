package truth

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Append adds a message; a zero date lets the server choose INTERNALDATE.
func (c *Client) Append(mailbox string, raw []byte, flags []string, date time.Time) error {
	stamp := ""
	if !date.IsZero() {
		stamp = date.Format(`"_2-Jan-2006 15:04:05 -0700" `)
	}
	_, err := c.run(fmt.Sprintf("APPEND %s (%s) %s{%d}\r\n%s", wireName(mailbox), strings.Join(flags, " "), stamp,
		len(raw), raw))
	return err
}

// Store changes flags: how is "FLAGS", "+FLAGS" or "-FLAGS", uids an IMAP set such as "3,5:7" or "1:*".
func (c *Client) Store(mailbox, uids, how string, flags ...string) error {
	return c.selected(mailbox, fmt.Sprintf("UID STORE %s %s (%s)", uids, how, strings.Join(flags, " ")))
}

// Expunge removes the messages of a UID set for good and no others.
func (c *Client) Expunge(mailbox, uids string) error {
	return c.selected(mailbox, "UID STORE "+uids+` +FLAGS.SILENT (\Deleted)`, "UID EXPUNGE "+uids)
}

// Create makes a mailbox.
func (c *Client) Create(mailbox string) error {
	_, err := c.run("CREATE " + wireName(mailbox))
	return err
}

// Delete removes a mailbox with all it holds.
func (c *Client) Delete(mailbox string) error {
	_, err := c.run("DELETE " + wireName(mailbox))
	return err
}

// Rename moves a mailbox to another name.
func (c *Client) Rename(from, to string) error {
	_, err := c.run("RENAME " + wireName(from) + " " + wireName(to))
	return err
}

// selected runs commands inside one mailbox and leaves it again, so that no call depends on an earlier one.
func (c *Client) selected(mailbox string, commands ...string) error {
	for _, command := range append([]string{"SELECT " + wireName(mailbox)}, commands...) {
		if _, err := c.run(command); err != nil {
			return err
		}
	}
	if _, err := c.run("UNSELECT"); err != nil {
		// Not every server has it. An EXAMINE that fails leaves too (RFC 3501 §6.3.1), and no server has this name.
		if _, err := c.run(`EXAMINE "no such mailbox"`); err == nil {
			return errors.New("truth: a mailbox is there that nobody made")
		}
	}
	return nil
}

func wireName(mailbox string) string { return Quote(EncodeName(mailbox)) }
