// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package terminal

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progressAfter is for how long a command says nothing of its progress, and progressEvery how often it does then.
const (
	progressAfter = 2 * time.Second
	progressEvery = 100 * time.Millisecond
)

// Progress is how far work is that takes long. The zero pointer shows nothing.
type Progress struct {
	out   *Output
	done  atomic.Int64
	title atomic.Pointer[string]
	stop  context.CancelFunc
	ended chan struct{}

	// The rest is under the lock of the screen.
	bar     *progressbar.ProgressBar
	visible bool
}

// StartProgress shows on errOut, if that is a terminal and work takes longer than two seconds, how much of total is done;
// of an unknown total, 0, that work is going on. It ends with Done.
func StartProgress(ctx context.Context, errOut io.Writer, title string, total int) *Progress {
	o, is := errOut.(*Output)
	if !is || !o.IsTerminal() {
		return nil
	}
	return o.startProgress(ctx, title, total, progressAfter)
}

func (o *Output) startProgress(ctx context.Context, title string, total int, after time.Duration) *Progress {
	ctx, cancel := context.WithCancel(ctx)
	p := &Progress{out: o, stop: cancel, ended: make(chan struct{})}
	p.title.Store(&title)
	if total <= 1 {
		total = -1 // a spinner
	}
	options := []progressbar.Option{
		progressbar.OptionSetWriter(o.raw), progressbar.OptionUseANSICodes(true), progressbar.OptionEnableColorCodes(false),
		progressbar.OptionSetDescription(p.description()), progressbar.OptionSetWidth(20), progressbar.OptionSpinnerType(14),
		progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(true), // the time that is left would be a guess
		progressbar.OptionSetSpinnerChangeInterval(0), // else it draws by itself, whatever else is being written
	}
	if total > 0 {
		options = append(options, progressbar.OptionShowCount())
	}
	p.bar = progressbar.NewOptions(total, options...)
	p.bar.StartWithoutRender() // the time that has elapsed counts from now
	go p.run(ctx, after)
	return p
}

// run shows the bar until ctx ends.
func (p *Progress) run(ctx context.Context, after time.Duration) {
	defer close(p.ended)
	timer := time.NewTimer(after)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			p.out.screen.mu.Lock()
			p.hide()
			p.out.screen.bar = nil
			p.out.screen.mu.Unlock()
			return
		case <-timer.C:
			p.show()
			timer.Reset(progressEvery)
		}
	}
}

func (p *Progress) show() {
	s := p.out.screen
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.midLine {
		return
	}
	s.bar = p
	p.visible = true
	_ = p.bar.Set64(p.done.Load())  // what can't be shown isn't missed
	p.bar.Describe(p.description()) // it renders, too
}

// besideTitle is about how many columns of a bar are not its title.
const besideTitle = 45

// description is the title, cut so that the bar stays in one line.
func (p *Progress) description() string {
	return Cut(Sanitize(*p.title.Load()), max(p.out.Width()-besideTitle, minShrunk))
}

// hide takes the bar off the screen, until it is shown again.
func (p *Progress) hide() {
	if p != nil && p.visible {
		p.visible = false
		_ = p.bar.Clear() // what can't be shown isn't missed
	}
}

// Add counts n more.
func (p *Progress) Add(n int) {
	if p != nil {
		p.done.Add(int64(n))
	}
}

// Say says what is being done.
func (p *Progress) Say(title string) {
	if p != nil {
		p.title.Store(&title)
	}
}

// Done takes the bar away.
func (p *Progress) Done() {
	if p != nil {
		p.stop()
		<-p.ended
	}
}
