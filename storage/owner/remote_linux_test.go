package owner

import "testing"

func TestRemoteKind(t *testing.T) {
	for magic, want := range map[uint32]string{
		0x6969: "NFS", 0x517b: "SMB/CIFS", 0xff534d42: "SMB/CIFS", 0xfe534d42: "SMB/CIFS", 0x65735546: "FUSE",
		0xef53: "", 0x01021994: "", 0x9123683e: "", 0x58465342: "", 0x794c7630: "", // ext4, tmpfs, btrfs, xfs, overlay
	} {
		if got := remoteKind(magic); got != want {
			t.Errorf("%#x: %q, want %q", magic, got, want)
		}
	}
	if kind, err := remoteFS(t.TempDir()); err != nil || kind != "" {
		t.Errorf("the test directory: %q, %v", kind, err)
	}
}
