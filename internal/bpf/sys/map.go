// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package sys

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// CreateMap is BPF_MAP_CREATE. keep is everything that attr points to.
func CreateMap(attr *MapCreateAttr, keep ...any) (*FD, error) {
	if err := checkType(attr.MapType); err != nil {
		return nil, err
	}
	limitMu.RLock()
	defer limitMu.RUnlock()
	fd, err := createMap(attr)
	runtime.KeepAlive(keep)
	return fd, err
}

func createMap(attr *MapCreateAttr) (*FD, error) {
	raw, err := bpf(MapCreate, unsafe.Pointer(attr), unsafe.Sizeof(*attr))
	if err != nil {
		return nil, err
	}
	return newFD(raw), nil
}

// Elem is one of the element commands. A nil key or value is NULL.
func (fd *FD) Elem(cmd Cmd, key, value []byte, flags uint64) error {
	fd.mu.RLock()
	defer fd.mu.RUnlock()
	if fd.raw < 0 {
		return ErrClosed
	}
	if err := checkFlags(flags); err != nil {
		return err
	}
	countWritten(cmd, len(key)+len(value))
	attr := MapElemAttr{MapFD: uint32(fd.raw), Key: PointerTo(key), Value: PointerTo(value), Flags: flags}
	_, err := bpf(cmd, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	runtime.KeepAlive(key)
	runtime.KeepAlive(value)
	return err
}

// Batch is one of the batch commands on count elements. It returns the count that the kernel wrote
// back, which on errors before the first element is the count that was passed in.
func (fd *FD) Batch(cmd Cmd, in, out, keys, values []byte, count int, elemFlags uint64) (int, error) {
	fd.mu.RLock()
	defer fd.mu.RUnlock()
	if fd.raw < 0 {
		return 0, ErrClosed
	}
	if err := checkBatch(); err != nil {
		return count, err
	}
	if err := checkFlags(elemFlags); err != nil {
		return count, err
	}
	countWritten(cmd, len(keys)+len(values))
	attr := MapBatchAttr{
		InBatch: PointerTo(in), OutBatch: PointerTo(out), Keys: PointerTo(keys), Values: PointerTo(values),
		Count: uint32(count), MapFD: uint32(fd.raw), ElemFlags: elemFlags,
	}
	_, err := bpf(cmd, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	runtime.KeepAlive(in)
	runtime.KeepAlive(out)
	runtime.KeepAlive(keys)
	runtime.KeepAlive(values)
	return int(attr.Count), err
}

// Freeze is BPF_MAP_FREEZE (Linux 5.2).
func (fd *FD) Freeze() error {
	if err := checkFreeze(); err != nil {
		return err
	}
	return fd.Elem(MapFreeze, nil, nil, 0)
}

// Pin is BPF_OBJ_PIN.
func (fd *FD) Pin(path string) error {
	fd.mu.RLock()
	defer fd.mu.RUnlock()
	if fd.raw < 0 {
		return ErrClosed
	}
	name := append([]byte(path), 0)
	attr := ObjAttr{Pathname: PointerTo(name), BPFFD: uint32(fd.raw)}
	_, err := bpf(ObjPin, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	runtime.KeepAlive(name)
	return err
}

// GetPinned is BPF_OBJ_GET.
func GetPinned(path string, fileFlags uint32) (*FD, error) {
	name := append([]byte(path), 0)
	attr := ObjAttr{Pathname: PointerTo(name), FileFlags: fileFlags}
	raw, err := bpf(ObjGet, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	runtime.KeepAlive(name)
	if err != nil {
		return nil, err
	}
	return newFD(raw), nil
}

// NextMapID is BPF_MAP_GET_NEXT_ID: the smallest id above start.
func NextMapID(start uint32) (uint32, error) {
	attr := IDAttr{ID: start}
	_, err := bpf(MapGetNextID, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	return attr.NextID, err
}

// MapByID is BPF_MAP_GET_FD_BY_ID.
func MapByID(id, openFlags uint32, tokenFD int32) (*FD, error) {
	attr := IDAttr{ID: id, OpenFlags: openFlags, TokenFD: tokenFD}
	raw, err := bpf(MapGetFDByID, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	if err != nil {
		return nil, err
	}
	return newFD(raw), nil
}

// MapInfo is BPF_OBJ_GET_INFO_BY_FD of a map.
func (fd *FD) MapInfo() (MapInfo, error) {
	fd.mu.RLock()
	defer fd.mu.RUnlock()
	if fd.raw < 0 {
		return MapInfo{}, ErrClosed
	}
	info := new(MapInfo)
	attr := InfoAttr{BPFFD: uint32(fd.raw), InfoLen: uint32(unsafe.Sizeof(*info)), Info: Pointer{unsafe.Pointer(info)}}
	_, err := bpf(ObjGetInfoByFD, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	runtime.KeepAlive(info)
	return *info, err
}

// MapHash is BPF_OBJ_GET_INFO_BY_FD of a map for the hash of its values: SHA-256 (Linux 6.18). known is false where
// the kernel has none for the map or knows no such hash.
func (fd *FD) MapHash(sum *[32]byte) (known bool, err error) {
	fd.mu.RLock()
	defer fd.mu.RUnlock()
	if fd.raw < 0 {
		return false, ErrClosed
	}
	if checkHash() != nil {
		return false, nil // a kernel without hashes says nothing
	}
	info := &MapInfo{Hash: PointerTo(sum[:]), HashSize: uint32(len(sum))}
	attr := InfoAttr{BPFFD: uint32(fd.raw), InfoLen: uint32(unsafe.Sizeof(*info)), Info: Pointer{unsafe.Pointer(info)}}
	_, err = bpf(ObjGetInfoByFD, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	runtime.KeepAlive(info)
	runtime.KeepAlive(sum)
	return err == nil && *sum != [32]byte{}, err
}

// FDInfo reads /proc/self/fdinfo of the descriptor.
func (fd *FD) FDInfo() ([]byte, error) {
	fd.mu.RLock()
	defer fd.mu.RUnlock()
	if fd.raw < 0 {
		return nil, ErrClosed
	}
	return os.ReadFile(fd.infoPath())
}

// LinkTarget is what /proc/self/fd says that the descriptor is, for example "anon_inode:bpf-map".
func (fd *FD) LinkTarget() (string, error) {
	fd.mu.RLock()
	defer fd.mu.RUnlock()
	if fd.raw < 0 {
		return "", ErrClosed
	}
	return os.Readlink("/proc/self/fd/" + itoa(fd.raw))
}

// LoadBTF is BPF_BTF_LOAD with a log of at most len(log) bytes. size is the size of the whole log
// (0 on kernels before 6.4).
func LoadBTF(raw, log []byte, level uint32) (fd *FD, size int, err error) {
	attr := BTFLoadAttr{
		BTF: PointerTo(raw), BTFSize: uint32(len(raw)),
		LogBuf: PointerTo(log), LogSize: uint32(len(log)), LogLevel: level,
	}
	n, err := bpf(BTFLoad, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	runtime.KeepAlive(raw)
	runtime.KeepAlive(log)
	if err != nil {
		return nil, int(attr.LogTrueSize), err
	}
	return newFD(n), int(attr.LogTrueSize), nil
}

// IsBPFFS says whether path lies on a BPF file system.
func IsBPFFS(path string) (bool, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return false, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	return uint32(st.Type) == unix.BPF_FS_MAGIC, nil
}

// Rename is renameat2(2). Without replace, an existing target is EEXIST.
func Rename(from, to string, replace bool) error {
	flags := uint(unix.RENAME_NOREPLACE)
	if replace {
		flags = 0
	}
	if err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, flags); err != nil {
		return &os.LinkError{Op: "renameat2", Old: from, New: to, Err: err}
	}
	return nil
}
