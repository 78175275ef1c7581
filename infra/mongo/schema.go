package mongo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/hayate-run/hayate"
)

// schemaVersion is the version of the documents and indexes. A database of a
// newer one is refused.
const schemaVersion = 1

// index is one of the indexes that the store counts on.
type index struct {
	collection string
	keys       bson.D
	unique     bool
	sparse     bool
	why        string
}

// name is the index's name, which tells its keys.
func (x *index) name() string {
	parts := make([]string, 0, len(x.keys))
	for _, k := range x.keys {
		parts = append(parts, fmt.Sprintf("%s_%v", k.Key, k.Value))
	}
	return strings.Join(parts, "_")
}

func asc(keys ...string) bson.D {
	d := make(bson.D, len(keys))
	for i, k := range keys {
		d[i] = bson.E{Key: k, Value: 1}
	}
	return d
}

// indexes lists all of them. Sparse ones hold only the documents that have
// something to be done, so that a sweep costs what there is to sweep.
func indexes() []index {
	return []index{
		{"events", asc("id"), true, false, "finds an event by the identifier that the API shows"},
		{"events", asc("at", "_id"), false, false, "lists events by time"},
		{"events", asc("type", "at"), false, false, "lists events of a type"},
		{"events", asc("src", "at"), false, false, "lists events of a source"},
		{"events", asc("f.rule", "at"), false, false, "lists the firings of a rule"},
		{"events", asc("f.id"), false, true, "finds a firing by its identifier"},
		{"events", asc("f.x"), false, true, "finds the firing that started an execution"},
		{"events", asc("ob"), false, true, "finds events whose executions may not have been stored"},
		{"events", asc("und"), false, true, "finds events on which nothing is decided"},
		{"events", asc("gone"), false, true, "finds the keys of purged events"},
		{"events", asc("going"), false, true, "finds purges that were cut off"},
		{"executions", asc("at", "n", "_id"), false, false, "lists executions by time"},
		{"executions", asc("s", "at"), false, false, "lists and counts executions by status"},
		{"executions", asc("a", "at"), false, false, "lists executions of an action"},
		{"executions", asc("rule", "at"), false, false, "lists executions of a rule"},
		{"executions", asc("ev"), false, false, "lists the executions of an event"},
		{"executions", asc("p", "at"), false, false, "lists the children of an execution"},
		{"executions", asc("t"), false, false, "finds the tree that is purged together"},
		{"executions", asc("top"), false, true, "finds trees that began without an event"},
		{"executions", asc("due"), false, true, "finds executions that may be claimed"},
		{"executions", asc("ob"), false, true, "finds executions that no queue was told of"},
		{"executions", asc("lease"), false, true, "finds attempts whose lease ran out"},
		{"executions", asc("tell"), false, true, "finds completed children that their parent has not heard of"},
		{"executions", asc("box.v"), false, true, "finds changes that were cut off"},
		{"executions", asc("ref.h"), false, true, "finds what refers to a blob"},
		{"runs", asc("wake"), false, true, "finds runs that are due"},
		{"runs", asc("box.v"), false, true, "finds steps that were cut off"},
		{"lines", asc("x", "q", "k"), false, false, "lists the output of an execution"},
		{"chunks", asc("u"), false, false, "finds the parts of a blob"},
		{"registry", asc("rev"), false, false, "lists what changed after a revision"},
		{"keys", asc("sc", "u", "n"), false, false, "lists keys in order"},
		{"keys", asc("exp"), false, true, "finds keys that have expired"},
		{"states", asc("rule", "name"), false, false, "lists and counts what a rule remembers"},
		{"states", asc("wake"), false, true, "finds states that are due"},
		{"states", asc("exp"), false, true, "finds states that say nothing any more"},
		{"states", asc("bx"), false, true, "finds changes that were cut off"},
	}
}

// inspect refuses servers that cannot be used: unreachable ones, and those that
// lose updates that race.
func (s *Store) inspect(ctx context.Context) error {
	var info bson.M
	if err := s.client.Database("admin").RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Decode(&info); err != nil {
		return fmt.Errorf("ask the server who it is: %w", s.kind(ctx, err))
	}
	if err := refuse(info); err != nil {
		return err
	}
	var meta struct {
		Version int `bson:"v"`
	}
	err := s.meta.FindOne(ctx, bson.D{{Key: "_id", Value: "schema"}}).Decode(&meta)
	switch {
	case errors.Is(err, mongo.ErrNoDocuments):
		return nil
	case err != nil:
		return fmt.Errorf("read the version of the database: %w", s.kind(ctx, err))
	case meta.Version > schemaVersion:
		return fmt.Errorf("the database has format %d, this hayate knows %d: use a newer one: %w", meta.Version, schemaVersion, hayate.ErrInvalid)
	}
	return nil
}

// refuse reads a server's answer to buildInfo. FerretDB before version 2 updates
// a document by reading it, matching it and writing it back, with nothing that
// keeps two of them apart: claims would be granted twice.
func refuse(info bson.M) error {
	for key, v := range info {
		if !strings.HasPrefix(strings.ToLower(key), "ferretdb") {
			continue
		}
		version := fmt.Sprint(v)
		if d, ok := v.(bson.D); ok {
			for _, e := range d {
				if e.Key == "version" {
					version = fmt.Sprint(e.Value)
				}
			}
		}
		version = strings.TrimPrefix(version, "v")
		if key == "ferretdbFeatures" {
			continue
		}
		if major, _, _ := strings.Cut(version, "."); major == "0" || major == "1" {
			return fmt.Errorf("the server is FerretDB %s, which loses updates that race, so that actions would run twice; "+
				"use MongoDB 4.4 or later: %w", version, hayate.ErrInvalid)
		}
	}
	return nil
}

// createIndexes creates what is missing, unless the database says that it has all.
func (s *Store) createIndexes(ctx context.Context) error {
	var meta struct {
		Version int      `bson:"v"`
		Indexes []string `bson:"indexes"`
	}
	err := s.meta.FindOne(ctx, bson.D{{Key: "_id", Value: "schema"}}).Decode(&meta)
	if err != nil && !errors.Is(err, mongo.ErrNoDocuments) {
		return fmt.Errorf("read the indexes of the database: %w", s.kind(ctx, err))
	}
	want := map[string][]mongo.IndexModel{}
	var names []string
	for _, x := range indexes() {
		names = append(names, x.collection+"."+x.name())
		o := options.Index().SetName(x.name())
		if x.unique {
			o.SetUnique(true)
		}
		if x.sparse {
			o.SetSparse(true)
		}
		want[x.collection] = append(want[x.collection], mongo.IndexModel{Keys: x.keys, Options: o})
	}
	if meta.Version == schemaVersion && slices.Equal(meta.Indexes, names) {
		return nil
	}
	for collection, models := range want {
		if _, err := s.db.Collection(collection).Indexes().CreateMany(ctx, models); err != nil {
			return fmt.Errorf("create the indexes of %s: %w", collection, s.kind(ctx, err))
		}
	}
	_, err = s.meta.UpdateOne(ctx, bson.D{{Key: "_id", Value: "schema"}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "v", Value: schemaVersion}, {Key: "indexes", Value: names}}}}, options.UpdateOne().SetUpsert(true))
	if err != nil && !mongo.IsDuplicateKeyError(err) { // another process has just written it
		return fmt.Errorf("note the indexes of the database: %w", s.kind(ctx, err))
	}
	return nil
}

// checkIndexes reports indexes that are missing, and what they are for.
func (s *Store) checkIndexes(ctx context.Context, found *findings) error {
	have := map[string]bool{}
	for _, x := range indexes() {
		if _, asked := have[x.collection]; !asked {
			have[x.collection] = true
			specs, err := s.db.Collection(x.collection).Indexes().ListSpecifications(ctx)
			if err != nil {
				return fmt.Errorf("list the indexes of %s: %w", x.collection, s.kind(ctx, err))
			}
			for _, spec := range specs {
				have[x.collection+"."+spec.Name] = true
			}
		}
		if !have[x.collection+"."+x.name()] {
			found.add("collection %s lacks the index %s, which %s; create it, or remove the document \"schema\" of the collection meta and restart",
				x.collection, x.name(), x.why)
		}
	}
	return nil
}
