package message

// Version is the version of the reader's rules. A change of what Parse or
// ParseAddressList returns for any message raises it. Views are stored, so a
// higher version tells that those of an older one must be made again.
// Views of version 1 were made before versions were counted.
const Version = 2
