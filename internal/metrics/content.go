// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/series"
)

// ContentReader streams the elements of a managed map as the kernel holds them, packed, if the map has the type and the
// sizes of a shape; locked reads values under their spin locks. It waits for no lock of the map. An error says that
// what was streamed isn't all, or not each element once.
type ContentReader func(ctx context.Context, key revision.Key, shape revision.Shape, locked bool, yield func(keys, values []byte)) error

// DefaultContentSeries is how many series of maps' contents an agent serves unless the administrator says otherwise.
const DefaultContentSeries = 10000

// The bounds of reading maps for a scrape. Prometheus waits 10 s for the answer by default.
const (
	maxContentTime  = time.Second     // for one map
	maxContentBytes = 64 << 20        // of one map
	maxScrapeTime   = 5 * time.Second // for all maps
	contentReaders  = 2
	// A reading holds for minContentAge, and for contentShare times as long as it took, so that a map is read for a
	// twentieth of the time at most. One that failed isn't tried again for failedContentAge.
	minContentAge    = 5 * time.Second
	contentShare     = 20
	failedContentAge = 30 * time.Second
)

// contents are the maps whose contents become metrics, and what was read of them last.
type contents struct {
	now    func() time.Time
	read   ContentReader
	budget *series.Budget
	limit  int // of the budget
	// told is called when what isn't served of a map changes.
	told func(key revision.Key, missing string)

	mu    sync.Mutex
	maps  map[revision.Key]*content
	descs contentDescs // see content_collector.go
	own   bounded[revision.Key]
}

// content is what is served of one map.
type content struct {
	key     revision.Key
	spec    *v1alpha1.MapMetrics
	subject series.Subject
	shape   revision.Shape
	locked  bool

	// mu is held while the map is read, and while its series are sent.
	mu    sync.Mutex
	table *series.Table
	due   time.Time
	took  time.Duration
	// err is why nothing is served; nil if the table holds a whole reading.
	err error
	// told is what told was called with last, nil before.
	told *string
}

// serve sets how maps are read, and what bounds all series together. It forgets all maps.
func (c *contents) serve(read ContentReader, most int, told func(key revision.Key, missing string)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read, c.limit, c.budget, c.told = read, most, series.NewBudget(most), told
	clear(c.maps)
}

// showMaps bounds the maps of which is told how they are served.
func (c *contents) showMaps(limit int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.own.limit = limit
}

var errNotRead = errors.New("not read yet")

// follow makes c serve what a spec says of the contents of a map. Nil serves nothing of it.
func (c *contents) follow(key revision.Key, spec *v1alpha1.MapMetrics, s *v1alpha1.BPFMapRevisionSpec) {
	c.mu.Lock()
	have := c.maps[key]
	c.mu.Unlock()
	shape := revision.Shape{Type: s.Type, KeySize: uint32(s.KeySize), ValueSize: uint32(s.ValueSize)}
	subject := series.Subject{Type: s.Type, Key: s.Key, Value: s.Value, Sensitive: s.Sensitive}
	if have != nil && equality.Semantic.DeepEqual(have.spec, spec) && equality.Semantic.DeepEqual(have.subject, subject) && have.shape.KeySize == shape.KeySize && have.shape.ValueSize == shape.ValueSize {
		return
	}
	c.forget(key)
	if spec == nil || c.read == nil {
		return
	}
	next := &content{key: key, spec: spec.DeepCopy(), subject: subject, shape: shape, err: errNotRead}
	plan, wrong := series.New(spec, subject)
	if len(wrong) > 0 { // of another release's controller
		next.err = fmt.Errorf("spec.metrics%s: %s", wrong[0].Path, wrong[0].Message)
		next.due = c.now().AddDate(100, 0, 0)
	} else {
		next.table = series.NewTable(plan, c.budget)
	}
	rev := revision.Revision{ValueSchema: s.Value}
	next.locked = rev.HasSpinLock()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.maps[key] = next
}

// forget serves nothing of a map any more.
func (c *contents) forget(key revision.Key) {
	c.mu.Lock()
	gone := c.maps[key]
	delete(c.maps, key)
	c.mu.Unlock()
	if gone == nil {
		return
	}
	gone.mu.Lock()
	defer gone.mu.Unlock()
	if gone.table != nil {
		gone.table.Drop()
	}
	c.tell(gone, "")
}

// refresh reads the maps whose last reading doesn't hold any more, and returns all, sorted by key. Those that were read
// fast come first, so that slow ones take time from each other alone.
func (c *contents) refresh() []*content {
	c.mu.Lock()
	all := slices.Collect(maps.Values(c.maps))
	c.mu.Unlock()
	slices.SortFunc(all, func(a, b *content) int {
		return cmp.Or(strings.Compare(a.key.Namespace, b.key.Namespace), strings.Compare(a.key.Name, b.key.Name))
	})
	fastest := slices.Clone(all)
	slices.SortStableFunc(fastest, func(a, b *content) int { return cmp.Compare(a.lastTook(), b.lastTook()) })
	ctx, end := context.WithTimeout(context.Background(), maxScrapeTime)
	defer end()
	queue := make(chan *content)
	var readers sync.WaitGroup
	for range min(contentReaders, len(fastest)) {
		readers.Go(func() {
			for m := range queue {
				c.readOne(ctx, m)
			}
		})
	}
	for _, m := range fastest {
		queue <- m
	}
	close(queue)
	readers.Wait()
	return all
}

func (m *content) lastTook() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.took
}

// readOne reads a map, if it is due.
func (c *contents) readOne(ctx context.Context, m *content) {
	m.mu.Lock()
	defer m.mu.Unlock()
	start := c.now()
	if start.Before(m.due) {
		return
	}
	m.err = m.readWithin(ctx, c.read)
	m.took = c.now().Sub(start)
	age := max(minContentAge, contentShare*m.took)
	if m.err != nil {
		age = failedContentAge
		m.table.Drop()
	}
	m.due = start.Add(age)
	c.tell(m, c.missing(m))
}

// readTries bounds the readings of a map that changes so fast that a reading may miss elements, or repeat some.
const readTries = 3

var errTooLarge = fmt.Errorf("it holds more than %d MiB", maxContentBytes>>20)

// readWithin fills the table, within the bounds.
func (m *content) readWithin(ctx context.Context, read ContentReader) error {
	if ctx.Err() != nil {
		return fmt.Errorf("other maps took the %s of a scrape", maxScrapeTime)
	}
	ctx, end := context.WithTimeout(ctx, maxContentTime)
	defer end()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var err error
	for range readTries {
		total := 0
		m.table.Begin()
		err = read(ctx, m.key, m.shape, m.locked, func(keys, values []byte) {
			if total += len(keys) + len(values); total > maxContentBytes {
				stop(errTooLarge)
				return
			}
			m.table.Add(keys, values)
		})
		if !errors.Is(err, ErrChanging) {
			break
		}
	}
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errTooLarge):
		return cause
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("reading it takes longer than %s", maxContentTime)
	case err == nil:
		m.table.End()
	}
	return err
}

// ErrChanging says that a map changed so fast that a reading may have missed elements or repeated some.
var ErrChanging = errors.New("it changes so fast that elements may be missed or counted twice")

// missing says what of a map isn't served, without numbers that change; empty if all is. Its lock is held.
func (c *contents) missing(m *content) string {
	switch {
	case m.err != nil:
		return "no metrics of the map's contents: " + m.err.Error()
	case m.table.LeftOut() == 0:
		return ""
	case m.table.IsOverBudget():
		return fmt.Sprintf("some elements are in no metric: the agent serves at most %d series of the contents of all maps (--metrics-content-series)", c.limit)
	}
	return fmt.Sprintf("some elements are in no metric: the map has more than %d series (spec.metrics.maxSeries)", m.table.Plan().MaxSeries())
}

// tell tells what isn't served of a map, if that changed. The map's lock is held.
func (c *contents) tell(m *content, missing string) {
	if m.told != nil && *m.told == missing || c.told == nil {
		return
	}
	m.told = &missing
	c.told(m.key, missing)
}
