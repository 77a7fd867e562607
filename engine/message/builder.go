package message

// sink is what happens to a leaf's bytes.
type sink uint8

const (
	toNothing sink = iota
	toText
	toHTML
	toSpare // text of another type, which counts if there is no other text
	toSize  // only counted, for an attachment
)

// group is an open container, as far as text is concerned.
type group struct {
	alternative bool
	related     bool
	message     bool
	children    int
	start       int // length of the text at its beginning
	plain       int // alternative: bytes of plain text in it
	html        int // alternative: where its HTML begins in builder.waiting
	preamble    []byte
	attachment  int   // message: its index in Attachments; -1: not listed
	offset      int64 // message: offset of its first byte
}

// enoughPlain is the length from which a plain alternative is trusted. A
// shorter one may only say that the program cannot show HTML. That is sure of
// one shorter than shortPlain if the HTML says twice as much.
const (
	enoughPlain = 1024
	shortPlain  = 256
)

// builder turns the scanner's events into a view.
type builder struct {
	lim    Limits
	cs     *charsets
	v      View
	begun  bool
	groups []group

	sink   sink
	leaf   part
	codec  transfer
	buf    []byte // decoded bytes of the leaf
	size   int64
	cut    bool // the rest of the leaf is not kept
	uu     uuScan
	file   int // the uuencoded file that is open, in Attachments; -1: not listed
	text   []byte
	html   int64   // bytes of HTML kept so far
	late   []field // the message's header, if it is in the charset of the text
	spare  *spare
	whole  bool // all HTML is decoded and kept in pages, also what the text is not made of
	pages  []htmlPage
	opened int // encoded messages that were opened
	nested int // … and are open

	// waiting is the HTML of the open alternatives that may still be needed,
	// outer before inner. What an inner one does not use stays for the one
	// around it.
	waiting []byte
}
