// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bufio"
	"errors"
	"fmt"
	"strings"
)

// The columns of an item of ipset save.
const (
	ipsetSet     = 0
	ipsetEntry   = 1
	ipsetNomatch = "nomatch"
)

// readIPSet reads what `ipset save` writes: create and add, each on a line of its own.
func readIPSet(in *bufio.Reader, o Options, yield func(Entry) error) error {
	m, it, err := ownColumns(o, "entry", yield)
	if err != nil {
		return err
	}
	it.columns, it.missing = make([]string, len(it.names)), make([]bool, len(it.names))
	sets := oneSet{filtered: m.filter != nil}
	return eachLine(in, &o, func(line int, content string) error {
		command, rest, _ := strings.Cut(content, " ")
		switch command {
		case "create", "-N", "flush", "COMMIT":
			return nil
		case "add", "-A":
		default:
			return o.invalid(line, "begins with "+shown(command)+": what ipset save writes has create and add")
		}
		it.line = line
		if err := it.setIPSet(rest); err != nil {
			return o.invalid(line, err.Error())
		}
		if err := sets.check(line, it.columns[ipsetSet]); err != nil {
			return err
		}
		if n, _ := it.names.column(ipsetNomatch); !it.missing[n] && m.filter == nil {
			return o.invalid(line, it.columns[ipsetEntry]+" is an exception (nomatch), which is not an entry of a map: leave it out with mapping.filter (!has(item.nomatch)) or declare it with a value of its own")
		}
		return m.take(it)
	})
}

// setIPSet sets the columns from what follows add: a set, an entry and its options.
func (it *item) setIPSet(rest string) error {
	for i := range it.columns {
		it.columns[i], it.missing[i] = "", true
	}
	words := ipsetWords(rest)
	if len(words) < 2 {
		return errors.New("add needs a set and an entry")
	}
	for i, word := range words[:2] {
		it.columns[i], it.missing[i] = word, false
	}
	for i := 2; i < len(words); i++ {
		name := words[i]
		if name == "-exist" || name == "-!" {
			continue
		}
		column, ok := it.names.column(name)
		switch {
		case !ok || column <= ipsetEntry:
			return fmt.Errorf("unknown option %s of an entry: known are %s", shown(name), strings.Join(it.names[2:], ", "))
		case name == ipsetNomatch:
		case i+1 == len(words):
			return fmt.Errorf("the option %s has no value", name)
		default:
			i++
			it.columns[column] = words[i]
		}
		it.missing[column] = false
	}
	return nil
}

// ipsetWords are the words of a line; a comment in quotes is one.
func ipsetWords(text string) []string {
	var words []string
	for {
		text = strings.TrimLeft(text, " \t")
		if text == "" {
			return words
		}
		if text[0] == '"' {
			if end := strings.IndexByte(text[1:], '"'); end >= 0 {
				words, text = append(words, text[1:1+end]), text[end+2:]
				continue
			}
		}
		end := strings.IndexAny(text, " \t")
		if end < 0 {
			return append(words, text)
		}
		words, text = append(words, text[:end]), text[end:]
	}
}

// oneSet refuses a second set in a text, unless a filter chooses.
type oneSet struct {
	name     string
	filtered bool
}

func (s *oneSet) check(line int, name string) error {
	if s.name == "" {
		s.name = name
	}
	if s.filtered || s.name == name {
		return nil
	}
	return errorf(line, "is of the set %s, and those before are of %s: choose with mapping.filter (item.set == %q)", shown(name), shown(s.name), s.name)
}
