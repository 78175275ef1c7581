package simulation_test

import (
	"errors"
	"time"
)

// errWorld is what a struck call returns: neither kind of error that says that
// nothing happened, so the outcome is unknown.
var errWorld = errors.New("simulated failure")

// call does something to the outside world on behalf of a process, unless the
// process is dead or cut off, and lets a fault strike it.
func (p *process) call(call, object string, effect func() error) error {
	f, _ := p.w.plan.next(call, object)
	return p.struck(f, effect)
}

func (p *process) struck(f fault, effect func() error) error {
	if p.unreachable() {
		return errWorld
	}
	switch f.kind {
	case errorBefore:
		return errWorld
	case crashBefore:
		p.crash()
		return errWorld
	case cut:
		p.cutOff(f.d)
		return errWorld
	case slow:
		time.Sleep(f.d / 2)
		if p.unreachable() {
			return errWorld
		}
	}
	err := effect()
	switch f.kind {
	case errorAfter:
		err = errors.Join(err, errWorld)
	case crashAfter:
		p.crash()
		err = errWorld
	case slow:
		time.Sleep(f.d / 2)
		if p.unreachable() {
			err = errWorld
		}
	}
	return err
}
