// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/structured"
	"github.com/bpfmap-io/bpfmap-operator/internal/source"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

const (
	// maxPartBytes bounds the data of a ConfigMap that split writes; the API server takes 1 MiB.
	maxPartBytes = 900 << 10
	// maxParts bounds how many ConfigMaps there are.
	maxParts = 256

	formatAuto = "auto"
)

// The formats that can be cut.
const (
	formatLines = string(v1alpha1.SourceLines)
	formatCSV   = string(v1alpha1.SourceCSV)
	formatJSON  = string(v1alpha1.SourceJSON)
)

// splitter cuts a feed into ConfigMaps.
type splitter struct {
	cutter
	namespace, name, key string
	dir, output          string
	labels               []string
	gzip                 bool
	parts                int
}

func newSplit() *cobra.Command {
	var s splitter
	c := &cobra.Command{
		Use:   "split FILE",
		Short: "Cut a large feed into ConfigMaps",
		Long: `Cut a large feed into the manifests of ConfigMaps of at most 900 KiB each, for the configMapSelector of a
BPFMap. FILE has lines, CSV records (their header is repeated) or JSON lines, and may be gzipped.

The ConfigMap of a line is chosen by the hash of its key, so a line that is added, removed or gets another value
changes one ConfigMap. How many there are is the least power of two that is enough; when a feed outgrows it, most of
them change once. --parts fixes the number. Lines of one ConfigMap keep their order, lines of different ones don't,
which matters for conflictPolicy First and Last only. Comments and blank lines are left out.

Apply what is written with kubectl apply --server-side: the annotation that kubectl apply makes otherwise has a
bound of 256 KiB. With --output-dir, the files of ConfigMaps that are no longer needed are removed; remove them from
the cluster, too, as the selector still finds them.

What is printed is a stream of manifests; with -o json and yaml it is one List. With --output-dir it is what was done
to the files.`,
		Example: `  bpfmap split blocklist.txt -n edge --label feed=blocklist --output-dir feeds/
  bpfmap split GeoLite2-Country-Blocks-IPv4.csv -n edge --name geo --by network --gzip | kubectl apply --server-side -f -`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := s.complete(args[0]); err != nil {
				return err
			}
			parts, err := s.split(args[0])
			if err != nil {
				return err
			}
			return s.write(c, filepath.Base(args[0]), parts)
		},
	}
	c.Flags().StringVarP(&s.namespace, "namespace", "n", "", "namespace of the ConfigMaps (default none: kubectl's)")
	c.Flags().StringVar(&s.name, "name", "", "what the names of the ConfigMaps begin with: NAME-00, NAME-01, … (default FILE's name)")
	c.Flags().StringVar(&s.key, "key", "", "key of the data in each ConfigMap (default FILE's name)")
	c.Flags().StringArrayVar(&s.labels, "label", nil, "label of the ConfigMaps, KEY=VALUE (repeatable; default bpfmap.io/feed=NAME)")
	s.format = formatAuto
	c.Flags().Var(&structured.Choice{Value: &s.format, Words: []string{formatAuto, formatLines, formatCSV, formatJSON}}, "format", "format of FILE; auto goes by its name: .csv, .json, .jsonl and .ndjson, others are Lines")
	c.Flags().StringVar(&s.by, "by", "", "column (name, or number from 1) or JSON member whose hash chooses the ConfigMap (default key, key.FIELD or the first one; the whole line if it has no columns)")
	c.Flags().StringVar(&s.separator, "separator", "", "what is between columns (CSV: \",\"; Lines: none; \" \" is any number of blanks and tabs)")
	c.Flags().StringVar(&s.comment, "comment", "#", "what comments begin with; empty for none")
	c.Flags().BoolVar(&s.noHeader, "no-header", false, "the first record of a CSV file is not a header")
	c.Flags().BoolVar(&s.gzip, "gzip", false, "compress the data (binaryData)")
	c.Flags().IntVar(&s.parts, "parts", 0, fmt.Sprintf("number of ConfigMaps, up to %d (default the least power of two that is enough)", maxParts))
	c.Flags().StringVar(&s.dir, "output-dir", "", "write a file for each ConfigMap into this folder, instead of all to standard output")
	_ = c.MarkFlagDirname("output-dir") // fails only for a flag that doesn't exist
	structured.AddFlag(c, &s.output, structured.Text, structured.JSON, structured.YAML)
	return c
}

// complete fills in what isn't given, and checks it.
func (s *splitter) complete(file string) error {
	base := strings.TrimSuffix(filepath.Base(file), ".gz")
	extension := filepath.Ext(base)
	if s.format == formatAuto {
		switch strings.ToLower(extension) {
		case ".csv":
			s.format = formatCSV
		case ".json", ".jsonl", ".ndjson":
			s.format = formatJSON
		default:
			s.format = formatLines
		}
	}
	if s.name == "" {
		s.name = strings.ToLower(strings.TrimSuffix(base, extension))
	}
	if s.key == "" {
		if s.key = base; s.gzip {
			s.key += ".gz"
		}
	}
	if len(s.labels) == 0 {
		s.labels = []string{"bpfmap.io/feed=" + s.name}
	}
	if s.parts < 0 || s.parts > maxParts {
		return fmt.Errorf("--parts %d: must be between 1 and %d; 0 for the least power of two that is enough", s.parts, maxParts)
	}
	return s.check()
}

// check wants names that the API server takes.
func (s *splitter) check() error {
	if wrong := validation.IsDNS1123Subdomain(partName(s.name, maxParts-1, maxParts)); wrong != nil {
		return fmt.Errorf("--name %s: is not the beginning of a valid name of a ConfigMap: %s", s.name, strings.Join(wrong, "; "))
	}
	if wrong := validation.IsConfigMapKey(s.key); wrong != nil {
		return fmt.Errorf("--key %s: is not a valid key of a ConfigMap: %s", s.key, strings.Join(wrong, "; "))
	}
	if s.namespace != "" {
		if wrong := validation.IsDNS1123Label(s.namespace); wrong != nil {
			return fmt.Errorf("--namespace %s: is not a valid namespace: %s", s.namespace, strings.Join(wrong, "; "))
		}
	}
	seen := map[string]bool{}
	for _, label := range s.labels {
		key, value, ok := strings.Cut(label, "=")
		if !ok || seen[key] {
			return fmt.Errorf("--label %s: must be KEY=VALUE, with each key once", label)
		}
		seen[key] = true
		if wrong := append(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)...); wrong != nil {
			return fmt.Errorf("--label %s: is not a valid label: %s", label, strings.Join(wrong, "; "))
		}
	}
	return nil
}

// partName is the name of a ConfigMap among a number of them.
func partName(name string, i, parts int) string {
	width := 2
	if parts > 100 {
		width = 3
	}
	return fmt.Sprintf("%s-%0*d", name, width, i)
}

// split is the data of each ConfigMap.
func (s *splitter) split(file string) ([][]byte, error) {
	header, lines, err := s.readFeed(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	parts, most := s.parts, s.parts
	if parts == 0 {
		parts, most = 1, maxParts
	}
	for {
		data, err := s.distribute(header, lines, parts)
		if parts *= 2; err == nil || !errors.Is(err, errTooLong) || parts > most {
			if err != nil {
				err = fmt.Errorf("%s: %w", file, err)
			}
			return data, err
		}
	}
}

// readFeed reads and cuts a file.
func (s *splitter) readFeed(file string) (header []byte, lines []feedLine, err error) {
	data, err := readSource(file)
	if err != nil {
		return nil, nil, err
	}
	in, err := source.Text(data)
	if err != nil {
		return nil, nil, err
	}
	text, err := io.ReadAll(in) // up to source.MaxBytes
	if err != nil {
		return nil, nil, err
	}
	if header, lines, err = s.cut(text); err != nil {
		return nil, nil, err
	}
	if len(lines) == 0 {
		return nil, nil, errors.New("has no lines but comments and a header")
	}
	for i := range lines {
		l := &lines[i]
		if n := len(header) + len(l.text); n > maxPartBytes {
			return nil, nil, fmt.Errorf("line %d: has %d bytes with the header, at most %d are possible", l.number, n, maxPartBytes)
		}
		if !utf8.Valid(l.text) {
			return nil, nil, fmt.Errorf("line %d: is not UTF-8", l.number)
		}
	}
	return header, lines, nil
}

// errTooLong is that more parts would help.
var errTooLong = errors.New("too long")

// distribute is the data of each part.
func (s *splitter) distribute(header []byte, lines []feedLine, parts int) ([][]byte, error) {
	data := make([][]byte, parts)
	for i := range lines {
		part := &data[lines[i].part%uint64(parts)]
		if *part == nil {
			*part = bytes.Clone(header)
		}
		*part = append(*part, lines[i].text...)
	}
	for i, part := range data {
		if part == nil {
			return nil, fmt.Errorf("part %d of %d has no lines, and a ConfigMap without entries is refused: choose fewer --parts, or a column with more different values by --by", i, parts)
		}
		packed := part
		if s.gzip {
			packed = compressed(part)
			if most := max(1<<20, source.MaxRatio*len(packed)); len(part) > most {
				return nil, fmt.Errorf("part %d of %d has %d bytes, and gzipped only %d: such ratios above %d are refused when they are read; leave out --gzip", i, parts, len(part), len(packed), source.MaxRatio)
			}
		}
		if len(packed) > maxPartBytes {
			return nil, &tooLongError{i, parts, len(packed)}
		}
		data[i] = packed
	}
	return data, nil
}

// tooLongError is that a part doesn't fit.
type tooLongError struct{ part, parts, bytes int }

func (e *tooLongError) Error() string {
	return fmt.Sprintf("part %d of %d has %d bytes, at most %d are possible: choose more --parts (up to %d), --gzip, or a column with more different values by --by",
		e.part, e.parts, e.bytes, maxPartBytes, maxParts)
}

func (e *tooLongError) Unwrap() error { return errTooLong }

// compressed is the same for the same text.
func compressed(text []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(text) // a buffer takes everything
	_ = z.Close()
	return b.Bytes()
}

// write writes the manifests to the folder or standard output.
func (s *splitter) write(c *cobra.Command, file string, parts [][]byte) error {
	if s.dir != "" {
		return s.writeFiles(c, file, parts)
	}
	if structured.IsDocument(s.output) {
		return writeDocument(c, s.output, s.list(parts))
	}
	for i := range parts {
		text := s.manifest(file, parts[i], i, len(parts))
		if i > 0 {
			text = append([]byte("---\n"), text...)
		}
		if _, err := c.OutOrStdout().Write(text); err != nil {
			return fmt.Errorf("write manifests: %w", err)
		}
	}
	return nil
}

// splitFiles is what was done to the files of a folder, for -o json.
type splitFiles struct {
	Folder string `json:"folder"`
	// Written, Unchanged and Removed are names of files: new and changed ones, those that were as they should be, and those of
	// parts that there aren't any more.
	Written   []string `json:"written"`
	Unchanged []string `json:"unchanged"`
	Removed   []string `json:"removed"`
}

// writeFiles writes a file for each part, and removes those of earlier parts that there aren't any more.
func (s *splitter) writeFiles(c *cobra.Command, file string, parts [][]byte) error {
	if err := os.MkdirAll(s.dir, 0o755); err != nil { //nolint:gosec // manifests, for everyone to read
		return fmt.Errorf("write manifests: %w", err)
	}
	current := map[string]bool{}
	did := splitFiles{s.dir, []string{}, []string{}, []string{}}
	for i := range parts {
		name := partName(s.name, i, len(parts)) + ".yaml"
		current[name] = true
		path := filepath.Join(s.dir, name)
		text := s.manifest(file, parts[i], i, len(parts))
		if before, err := os.ReadFile(path); err == nil && bytes.Equal(before, text) {
			did.Unchanged = append(did.Unchanged, name)
			continue
		}
		if err := os.WriteFile(path, text, 0o644); err != nil { //nolint:gosec // as above
			return fmt.Errorf("write manifests: %w", err)
		}
		did.Written = append(did.Written, name)
	}
	if err := s.removeOthers(current, &did); err != nil {
		return fmt.Errorf("remove earlier manifests: %w", err)
	}
	if structured.IsDocument(s.output) {
		return writeDocument(c, s.output, did)
	}
	screen(c).Printf("%s: %s, %s written, %d unchanged, %d removed\n", s.dir, text.Count(len(parts), "ConfigMap", "ConfigMaps"),
		text.Count(len(did.Written), "file", "files"), len(did.Unchanged), len(did.Removed))
	return nil
}

// removeOthers removes the files of earlier parts: those with such a name that split has written.
func (s *splitter) removeOthers(current map[string]bool, did *splitFiles) error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		digits, isPart := strings.CutPrefix(strings.TrimSuffix(e.Name(), ".yaml"), s.name+"-")
		if !isPart || !strings.HasSuffix(e.Name(), ".yaml") || strings.Trim(digits, "0123456789") != "" || current[e.Name()] {
			continue
		}
		path := filepath.Join(s.dir, e.Name())
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if !bytes.HasPrefix(text, []byte(splitMark)) {
			continue
		}
		if err := os.Remove(path); err != nil {
			return err
		}
		did.Removed = append(did.Removed, e.Name())
	}
	return nil
}
