package owner

import "testing"

func TestRemoteKind(t *testing.T) {
	for magic, want := range map[uint32]string{
		0x6969: "NFS", 0x517b: "SMB/CIFS", 0xff534d42: "SMB/CIFS", 0xfe534d42: "SMB/CIFS", 0x65735546: "FUSE",
		0x01021997: "9P", 0x5346414f: "AFS", 0x6b414653: "AFS", 0x00c36400: "Ceph", 0x73757245: "Coda", 0x564c: "NCP",
		0x7461636f: "OCFS2", 0x01161970: "GFS2", 0x0bd00bd0: "Lustre", 0x47504653: "GPFS", 0x19830326: "BeeGFS",
		0xaad7aaea: "PanFS", 0x20030528: "OrangeFS", 0x786f4256: "vboxsf", 0x7c7c6673: "prl_fs", 0xbacbacbc: "vmhgfs",
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
