package mongo

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// maxFindings bounds what Check returns.
const maxFindings = 100

// findings gathers the lines of a check.
type findings []string

func (f *findings) add(format string, args ...any) {
	switch {
	case len(*f) < maxFindings:
		*f = append(*f, fmt.Sprintf(format, args...))
	case len(*f) == maxFindings:
		*f = append(*f, "… and more")
	}
}

// Check implements router.Upkeep: whether the indexes are there, whether every
// record can be read, and whether records refer to what exists. While others
// write, it may report what is on its way between two writes; such a finding is
// gone after the next sweep.
func (s *Store) Check(ctx context.Context) ([]string, error) {
	if err := s.enter(ctx); err != nil {
		return nil, fmt.Errorf("check: %w", err)
	}
	var found findings
	for _, f := range []func(context.Context, *findings) error{s.checkIndexes, s.checkEvents, s.checkExecutions, s.checkRuns} {
		if err := f(ctx, &found); err != nil {
			return found, fmt.Errorf("check: %w", err)
		}
	}
	return found, nil
}

func (s *Store) checkEvents(ctx context.Context, found *findings) error {
	return each(ctx, s, s.events, bson.D{there()}, options.Find(), func(d *event) (bool, error) {
		r, err := d.decode()
		if err != nil {
			found.add("%v", err)
			return true, nil
		}
		if len(r.Firings) != d.NF {
			found.add("event %s has %d firings, its document says %d", d.ID, len(r.Firings), d.NF)
		}
		if d.Out != 0 {
			found.add("event %s was accepted, but its executions are not stored yet: the next sweep stores them", d.ID)
			return true, nil
		}
		for _, f := range d.F {
			if len(f.X) == 0 {
				continue
			}
			n, err := s.execs.CountDocuments(ctx, bson.D{{Key: "_id", Value: in(f.X)}})
			if err != nil {
				return false, s.kind(ctx, err)
			}
			if int(n) != len(f.X) {
				found.add("firing %s of event %s names %d executions, of which %d exist", f.ID, d.ID, len(f.X), n)
			}
		}
		return true, nil
	})
}

func (s *Store) checkExecutions(ctx context.Context, found *findings) error {
	return each(ctx, s, s.execs, bson.D{}, options.Find(), func(d *execution) (bool, error) {
		x, err := d.decode()
		if err != nil {
			found.add("%v", err)
			return true, nil
		}
		want, err := encode(&x, 0)
		if err != nil {
			found.add("%v", err)
			return true, nil
		}
		if want.Due != d.Due {
			found.add("execution %s is %s, but queues and sweepers see it otherwise", d.ID, d.Status)
		}
		if d.Box != nil {
			found.add("a change that execution %s carries was cut off: the next sweep finishes it", d.ID)
		}
		if d.Ref != nil {
			n, err := s.blobs.CountDocuments(ctx, bson.D{{Key: "_id", Value: d.Ref.Hash}, {Key: "n", Value: d.Ref.Size}})
			if err != nil {
				return false, s.kind(ctx, err)
			}
			if n == 0 {
				found.add("the result of execution %s is missing: %s", d.ID, d.Ref.Hash)
			}
		}
		if d.Event == "" {
			return true, nil
		}
		n, err := s.events.CountDocuments(ctx, bson.D{{Key: "id", Value: d.Event}})
		if err != nil {
			return false, s.kind(ctx, err)
		}
		if n == 0 {
			found.add("execution %s came of event %s, which does not exist", d.ID, d.Event)
		}
		return true, nil
	})
}

func (s *Store) checkRuns(ctx context.Context, found *findings) error {
	return each(ctx, s, s.runs, bson.D{}, options.Find(), func(d *run) (bool, error) {
		for name := range d.Entries {
			if _, err := unfield(name); err != nil {
				found.add("run %s has a damaged entry %q", d.ID, name)
			}
		}
		if d.Box != nil {
			found.add("a step of run %s was cut off: the next sweep finishes it", d.ID)
		}
		n, err := s.execs.CountDocuments(ctx, bson.D{{Key: "_id", Value: d.ID}})
		if err != nil {
			return false, s.kind(ctx, err)
		}
		if n == 0 {
			found.add("run %s belongs to no execution", d.ID)
		}
		return true, nil
	})
}
