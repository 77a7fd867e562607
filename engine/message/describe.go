package message

import "strings"

// part is what a part's header says.
type part struct {
	path       string
	mediaType  string // lower case
	boundary   string
	charset    string // as declared
	untyped    bool   // there is no type that can be read
	flowed     bool   // format=flowed (RFC 3676)
	delSp      bool
	encoding   codec
	attachment bool // Content-Disposition: attachment
	inline     bool // Content-Disposition: inline
	name       string
	contentID  string
}

func (p *part) multipart() bool { return strings.HasPrefix(p.mediaType, "multipart/") }
func (p *part) message() bool {
	return p.mediaType == "message/rfc822" || p.mediaType == "message/global"
}

// maxParam bounds a content id, and the subject that names an attached message,
// in bytes before decoding.
const maxParam = 2000

// describe reads the MIME fields of a header. Of repeated fields the first
// counts.
func describe(cs *charsets, fields []field, digest bool) part {
	p := part{mediaType: "text/plain", untyped: true}
	if digest {
		p.mediaType = "message/rfc822"
	}
	var seen [fieldContentID + 1]bool
	var typeName, dispositionName string
	broken := false // a type that is there and cannot be read
	for _, f := range fields {
		if f.name < fieldType || seen[f.name] {
			continue
		}
		seen[f.name] = true
		switch f.name {
		case fieldType:
			value, params := cs.splitParams(f.body)
			p.charset = params.get("charset", cs)
			cs.declare(p.charset)
			// RFC 2046 §5.1.1: a boundary does not end in white space.
			p.boundary = strings.TrimRight(params.get("boundary", cs), " \t\r\n")
			p.flowed = strings.EqualFold(params.value("format"), "flowed")
			p.delSp = strings.EqualFold(params.value("delsp"), "yes")
			typeName = params.text("name", cs)
			mediaType, ok := knownType(value, p.boundary != "")
			if p.untyped, broken = !ok, !ok && value != ""; ok {
				p.mediaType = strings.ToValidUTF8(mediaType, "\ufffd")
			}
		case fieldEncoding:
			p.encoding = codecOf(f.body)
		case fieldDisposition:
			value, params := cs.splitParams(f.body)
			p.attachment = value == "attachment"
			p.inline = value == "inline"
			dispositionName = params.text("filename", cs)
			if dispositionName == "" {
				dispositionName = params.text("name", cs)
			}
		case fieldContentID:
			id := string(f.body[:min(len(f.body), maxParam)])
			if ids := messageIDs(cs, id, 1); len(ids) == 1 {
				p.contentID = ids[0]
			}
		}
	}
	p.name = clip(typeName, 255)
	if dispositionName != "" {
		p.name = clip(dispositionName, 255)
	}
	if broken && (p.name != "" || p.attachment || p.encoding != identity) {
		// RFC 2045 §5.2 calls it text, but text needs neither name nor base64.
		p.mediaType, p.untyped = "application/octet-stream", false
	}
	return p
}

// knownType reads the value of a Content-Type without its parameters. A value
// that is no type and subtype may still have one meaning only.
func knownType(value string, boundary bool) (string, bool) {
	major, minor, slash := strings.Cut(value, "/")
	switch {
	case slash && major != "" && minor != "":
		return value, true
	case major == "multipart" || !slash && boundary:
		return "multipart/mixed", true
	case major == "text" || value == "plain":
		return "text/plain", true
	case !slash && strings.Contains(value, "html"):
		return "text/html", true
	case value == "message" || value == "rfc822":
		return "message/rfc822", true
	case slash && major != "":
		return major + "/octet-stream", true
	}
	return "", false
}
