package faultvfs

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// Name is the VFS's name in a DSN: "file:x.db?vfs=" + Name.
const Name = "fault"

var (
	state    = &faults{calls: make(map[call]int)}
	files    = &fileTable{open: make(map[uintptr]file), tables: make(map[uintptr]uintptr)}
	register = sync.OnceValue(registerOnce)
	original uintptr // the default VFS; written once, before the first callback
)

// file is what is known of an open sqlite3_file.
type file struct {
	name    string
	methods uintptr // the original table
}

// fileTable knows the open files by address, and the changed copy of each original method table (never freed:
// there are a handful, and a closed file's may still be in use by another).
type fileTable struct {
	mu     sync.Mutex
	open   map[uintptr]file
	tables map[uintptr]uintptr
}

// Register makes the VFS known to SQLite, once per process however often it is called. Call it before the first open.
func Register() error { return register() }

func registerOnce() error {
	tls := libc.NewTLS()
	defer tls.Close()
	if rc := lib.Xsqlite3_initialize(tls); rc != lib.SQLITE_OK {
		return fmt.Errorf("faultvfs: initialize SQLite: code %d", rc)
	}
	original = lib.Xsqlite3_vfs_find(tls, 0)
	if original == 0 {
		return errors.New("faultvfs: SQLite has no default VFS")
	}
	name, err := libc.CString(Name)
	if err != nil {
		return fmt.Errorf("faultvfs: %w", err)
	}
	// SQLite keeps both for the life of the process.
	copied := libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(lib.Tsqlite3_vfs{})))
	if copied == 0 {
		return errors.New("faultvfs: out of memory")
	}
	vfs := at[lib.Tsqlite3_vfs](copied)
	*vfs = *at[lib.Tsqlite3_vfs](original)
	vfs.FzName, vfs.FpNext = name, 0
	put(&vfs.FxOpen, xOpen)
	put(&vfs.FxDelete, xDelete)
	if rc := lib.Xsqlite3_vfs_register(tls, copied, 0); rc != lib.SQLITE_OK {
		return fmt.Errorf("faultvfs: register: code %d", rc)
	}
	return nil
}

// The signatures of the methods, as the generated code calls them.
type (
	openFunc     = func(tls *libc.TLS, vfs, name, file uintptr, flags int32, outFlags uintptr) int32
	closeFunc    = func(tls *libc.TLS, file uintptr) int32
	transferFunc = func(tls *libc.TLS, file, buffer uintptr, amount int32, offset int64) int32
	truncateFunc = func(tls *libc.TLS, file uintptr, size int64) int32
	syncFunc     = func(tls *libc.TLS, file uintptr, flags int32) int32
	lockFunc     = func(tls *libc.TLS, file uintptr, level int32) int32
	mapFunc      = func(tls *libc.TLS, file uintptr, region, size, extend int32, out uintptr) int32
	deleteFunc   = func(tls *libc.TLS, vfs, name uintptr, syncDir int32) int32
)

func xOpen(tls *libc.TLS, vfs, cname, handle uintptr, flags int32, outFlags uintptr) int32 {
	methods := at[uintptr](handle) // sqlite3_file begins with its method table
	name := "(temporary)"          // SQLite opens unnamed scratch files
	if cname != 0 {
		name = libc.GoString(cname)
	}
	switch code := state.judge(Open, name); code {
	case 0:
	case ReadOnly:
		flags = flags&^(lib.SQLITE_OPEN_READWRITE|lib.SQLITE_OPEN_CREATE) | lib.SQLITE_OPEN_READONLY
	default:
		*methods = 0 // tells SQLite that there is nothing to close
		return code
	}
	rc := get[openFunc](at[lib.Tsqlite3_vfs](original).FxOpen)(tls, original, cname, handle, flags, outFlags)
	if *methods == 0 {
		return rc
	}
	if rc != lib.SQLITE_OK {
		return rc // SQLite closes it through the original table
	}
	table, ok := files.add(tls, handle, name, *methods)
	if !ok {
		get[closeFunc](at[lib.Tsqlite3_io_methods](*methods).FxClose)(tls, handle)
		*methods = 0
		return lib.SQLITE_NOMEM
	}
	*methods = table
	state.note(name, operation{kind: opened})
	return rc
}

// add remembers an open file and gives the changed copy of its method table.
func (t *fileTable) add(tls *libc.TLS, handle uintptr, name string, methods uintptr) (uintptr, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	table := t.tables[methods]
	if table == 0 {
		table = libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(lib.Tsqlite3_io_methods{})))
		if table == 0 {
			return 0, false
		}
		m := at[lib.Tsqlite3_io_methods](table)
		*m = *at[lib.Tsqlite3_io_methods](methods)
		put(&m.FxClose, xClose)
		put(&m.FxRead, xRead)
		put(&m.FxWrite, xWrite)
		put(&m.FxTruncate, xTruncate)
		put(&m.FxSync, xSync)
		put(&m.FxLock, xLock)
		put(&m.FxShmMap, xShmMap)
		t.tables[methods] = table
	}
	t.open[handle] = file{name: name, methods: methods}
	return table, true
}

func (t *fileTable) at(handle uintptr) (string, *lib.Tsqlite3_io_methods) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.open[handle]
	return f.name, at[lib.Tsqlite3_io_methods](f.methods)
}

func xClose(tls *libc.TLS, handle uintptr) int32 {
	_, methods := files.at(handle)
	// Forgotten before it is closed: afterwards SQLite may use the address for another file.
	files.mu.Lock()
	delete(files.open, handle)
	files.mu.Unlock()
	return get[closeFunc](methods.FxClose)(tls, handle)
}

func xRead(tls *libc.TLS, handle, buffer uintptr, amount int32, offset int64) int32 {
	name, methods := files.at(handle)
	if code := state.judge(Read, name); code != 0 {
		return code
	}
	return get[transferFunc](methods.FxRead)(tls, handle, buffer, amount, offset)
}

func xWrite(tls *libc.TLS, handle, buffer uintptr, amount int32, offset int64) int32 {
	name, methods := files.at(handle)
	if code := state.judge(Write, name); code != 0 {
		return code
	}
	rc := get[transferFunc](methods.FxWrite)(tls, handle, buffer, amount, offset)
	if rc == lib.SQLITE_OK {
		state.note(name, operation{kind: written, offset: offset, bytes: unsafe.Slice(at[byte](buffer), amount)})
	}
	return rc
}

func xTruncate(tls *libc.TLS, handle uintptr, size int64) int32 {
	name, methods := files.at(handle)
	if code := state.judge(Truncate, name); code != 0 {
		return code
	}
	rc := get[truncateFunc](methods.FxTruncate)(tls, handle, size)
	if rc == lib.SQLITE_OK {
		state.note(name, operation{kind: truncated, offset: size})
	}
	return rc
}

func xSync(tls *libc.TLS, handle uintptr, flags int32) int32 {
	name, methods := files.at(handle)
	if code := state.judge(Sync, name); code != 0 {
		return code
	}
	before := state.begin(name)
	rc := get[syncFunc](methods.FxSync)(tls, handle, flags)
	if rc == lib.SQLITE_OK {
		state.note(name, operation{kind: synced, before: before})
	}
	return rc
}

func xLock(tls *libc.TLS, handle uintptr, level int32) int32 {
	name, methods := files.at(handle)
	if code := state.judge(Lock, name); code != 0 {
		return code
	}
	return get[lockFunc](methods.FxLock)(tls, handle, level)
}

func xShmMap(tls *libc.TLS, handle uintptr, region, size, extend int32, out uintptr) int32 {
	name, methods := files.at(handle)
	if code := state.judge(Map, name); code != 0 {
		*at[uintptr](out) = 0
		return code
	}
	return get[mapFunc](methods.FxShmMap)(tls, handle, region, size, extend, out)
}

func xDelete(tls *libc.TLS, _, cname uintptr, syncDir int32) int32 {
	name := libc.GoString(cname)
	if code := state.judge(Delete, name); code != 0 {
		return code
	}
	rc := get[deleteFunc](at[lib.Tsqlite3_vfs](original).FxDelete)(tls, original, cname, syncDir)
	if rc == lib.SQLITE_OK {
		state.note(name, operation{kind: deleted})
	}
	return rc
}

// at reads an address of the C side as a pointer. The memory is libc's, not the Go heap's, so nothing moves or is
// collected.
func at[T any](address uintptr) *T {
	return *(**T)(unsafe.Pointer(&address))
}

// get turns a C function pointer into the Go function it stands for: the generated code keeps the address of a
// func value.
func get[F any](pointer uintptr) F {
	value := struct{ pointer uintptr }{pointer}
	return *(*F)(unsafe.Pointer(&value))
}

// put is the opposite of get; f must be a top-level function, whose func value is static.
func put[F any](field *uintptr, f F) {
	*(*F)(unsafe.Pointer(field)) = f
}
