// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Record is what is kept of a document: it survives a restart with the folder.
type Record struct {
	// Name is for messages.
	Name string `json:"name"`
	// Meta is of the last good contents.
	Meta Meta `json:"meta"`
	// Good is when they were found to be the newest ones; zero if there are none. Tried is when that was last tried.
	Good  time.Time `json:"good"`
	Tried time.Time `json:"tried"`
	// Failure is why the last attempt failed, and Since when the first one did in a row; empty and zero if it didn't.
	Failure  string    `json:"failure,omitempty"`
	Since    time.Time `json:"since"`
	Failures int       `json:"failures,omitempty"`
}

// spool keeps the texts of documents in a folder: ID.text, and a Record beside it, ID.json. It is safe for concurrent
// use.
type spool struct {
	dir  string
	most int64

	mu    sync.Mutex
	texts map[string]*kept
	clock int64
}

type kept struct {
	bytes int64
	used  int64
}

// working is what all fetches at the same time take: an archive, a document of it, and its text, each.
const working = 3 * workers * maxDocument

// MinSpool is the least bound of a folder, and DefaultSpool the usual one.
const (
	MinSpool     = working + maxDocument
	DefaultSpool = 2 << 30
)

// maxDocument is what one file takes at most.
const maxDocument = 64 << 20

var recordName = regexp.MustCompile(`^([0-9a-f]{64})\.(json|text)$`)

// openSpool uses a folder and finds what is in it. The files of a process before that are of no use are removed. It
// takes at most that many bytes.
func openSpool(dir string, most int64) (*spool, map[string]Record, error) {
	if most < MinSpool {
		return nil, nil, fmt.Errorf("the folder of sources may take %d bytes: at least %d are needed", most, int64(MinSpool))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("make the folder of sources: %w", err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("read the folder of sources: %w", err)
	}
	s := &spool{dir: dir, most: most - working, texts: map[string]*kept{}}
	records := map[string]Record{}
	for _, f := range files {
		name := recordName.FindStringSubmatch(f.Name())
		switch {
		case name != nil && name[2] == "json":
			if r, ok := s.readRecord(name[1]); ok {
				records[name[1]] = r
			}
		case strings.HasPrefix(f.Name(), "raw-"), strings.HasPrefix(f.Name(), "new-"):
			_ = os.Remove(filepath.Join(dir, f.Name())) // of an attempt that didn't come to its end
		}
	}
	for id, r := range records {
		info, err := os.Stat(s.path(id, "text"))
		if err == nil && info.Size() == r.Meta.TextBytes {
			s.texts[id] = &kept{bytes: info.Size()}
		}
	}
	for _, f := range files {
		if name := recordName.FindStringSubmatch(f.Name()); name != nil && s.texts[name[1]] == nil {
			_ = os.Remove(filepath.Join(dir, f.Name())) // it says nothing without the other
			delete(records, name[1])
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.evict("")
	return s, records, nil
}

func (s *spool) path(id, kind string) string { return filepath.Join(s.dir, id+"."+kind) }

// newText is the path of the next text of a document.
func (s *spool) newText(id string) string { return filepath.Join(s.dir, "new-"+id) }

func (s *spool) readRecord(id string) (r Record, ok bool) {
	data, err := os.ReadFile(s.path(id, "json"))
	return r, err == nil && json.Unmarshal(data, &r) == nil
}

// put makes the text that was written to newText the document's, with its record.
func (s *spool) put(id string, r Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := os.Rename(s.newText(id), s.path(id, "text")); err != nil {
		return fmt.Errorf("keep the document: %w", err)
	}
	s.clock++
	s.texts[id] = &kept{bytes: r.Meta.TextBytes, used: s.clock}
	s.evict(id)
	return s.write(id, r)
}

// note keeps what is new in the record of a document.
func (s *spool) note(id string, r Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.texts[id] == nil {
		return nil
	}
	return s.write(id, r)
}

func (s *spool) write(id string, r Record) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode the record of a document: %w", err)
	}
	temporary := filepath.Join(s.dir, "new-"+id+".json")
	if err := os.WriteFile(temporary, data, 0o600); err != nil {
		return fmt.Errorf("keep the record of a document: %w", err)
	}
	if err := os.Rename(temporary, s.path(id, "json")); err != nil {
		return fmt.Errorf("keep the record of a document: %w", err)
	}
	return nil
}

// evict removes the texts that were used least recently until the others fit; never that of keep.
func (s *spool) evict(keep string) {
	for {
		var total, oldest int64
		var id string
		for i, k := range s.texts {
			total += k.bytes
			if i != keep && (id == "" || k.used < oldest) {
				id, oldest = i, k.used
			}
		}
		if total <= s.most || id == "" {
			return
		}
		s.remove(id)
	}
}

func (s *spool) remove(id string) {
	delete(s.texts, id)
	_ = os.Remove(s.path(id, "json")) // what stays is removed by the next process
	_ = os.Remove(s.path(id, "text"))
}

// drop forgets a document.
func (s *spool) drop(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(id)
}

// has says whether a document's text is there.
func (s *spool) has(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.texts[id] != nil
}

// errLost is that of contents that aren't in the folder any more.
var errLost = errors.New("its contents are not in the cache any more, and are fetched again")

// read is the text of a document, whose sum has to be this one.
func (s *spool) read(id string, m Meta) ([]byte, error) {
	s.mu.Lock()
	k := s.texts[id]
	if k == nil {
		s.mu.Unlock()
		return nil, errLost
	}
	s.clock++
	k.used = s.clock
	file, err := os.Open(s.path(id, "text"))
	s.mu.Unlock()
	if err != nil {
		return nil, errLost
	}
	defer file.Close() // it was only read
	data := make([]byte, m.TextBytes)
	n, err := io.ReadFull(file, data)
	if sum := sha256.Sum256(data[:n]); err != nil || hex.EncodeToString(sum[:]) != m.TextDigest {
		return nil, errLost
	}
	return data, nil
}
