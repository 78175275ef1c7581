package mongo_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/mongo"
	"github.com/hayate-run/hayate/router"
)

// The probes ask the server itself, without the store, for the one thing that
// everything stands on: that conditional updates of one document do not overlap.
// A server that fails one of them would run actions twice.

const (
	probers = 8
	tries   = 200 // each
)

// collection returns an empty collection of its own.
func collection(t *testing.T) *driver.Collection {
	t.Helper()
	uri := database(t)
	c, err := driver.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Disconnect(context.Background()); err != nil {
			t.Errorf("Disconnect: %v", err)
		}
	})
	return c.Database(mongo.DatabaseOf(uri)).Collection("probe")
}

func probe(t *testing.T, f func(ctx context.Context, who int) error) {
	t.Helper()
	ctx := t.Context()
	var wg sync.WaitGroup
	for who := range probers {
		wg.Go(func() {
			for range tries {
				if err := f(ctx, who); err != nil {
					t.Errorf("client %d: %v", who, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestProbeOneWinnerAVersion(t *testing.T) {
	t.Parallel()
	c := collection(t)
	if _, err := c.InsertOne(t.Context(), bson.D{{Key: "_id", Value: 1}, {Key: "v", Value: 0}}); err != nil {
		t.Fatal(err)
	}
	var won atomic.Int64
	probe(t, func(ctx context.Context, _ int) error {
		var d struct {
			V int `bson:"v"`
		}
		if err := c.FindOne(ctx, bson.D{{Key: "_id", Value: 1}}).Decode(&d); err != nil {
			return err
		}
		err := c.FindOneAndUpdate(ctx, bson.D{{Key: "_id", Value: 1}, {Key: "v", Value: d.V}}, bson.D{{Key: "$set", Value: bson.D{{Key: "v", Value: d.V + 1}}}}).Err()
		if errors.Is(err, driver.ErrNoDocuments) {
			return nil
		}
		won.Add(1)
		return err
	})
	var d struct {
		V int64 `bson:"v"`
	}
	if err := c.FindOne(t.Context(), bson.D{{Key: "_id", Value: 1}}).Decode(&d); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d tries, %d winners of %d versions", probers*tries, won.Load(), d.V)
	if won.Load() != d.V {
		t.Errorf("%d clients were told that they won one of %d versions", won.Load(), d.V)
	}
}

func TestProbeIncrementsAreCounted(t *testing.T) {
	t.Parallel()
	c := collection(t)
	if _, err := c.InsertOne(t.Context(), bson.D{{Key: "_id", Value: 1}, {Key: "n", Value: 0}}); err != nil {
		t.Fatal(err)
	}
	probe(t, func(ctx context.Context, _ int) error {
		_, err := c.UpdateOne(ctx, bson.D{{Key: "_id", Value: 1}}, bson.D{{Key: "$inc", Value: bson.D{{Key: "n", Value: 1}}}})
		return err
	})
	var d struct {
		N int `bson:"n"`
	}
	if err := c.FindOne(t.Context(), bson.D{{Key: "_id", Value: 1}}).Decode(&d); err != nil {
		t.Fatal(err)
	}
	if d.N != probers*tries {
		t.Errorf("%d of %d increments were counted", d.N, probers*tries)
	}
}

func TestProbeOneHolderALease(t *testing.T) {
	t.Parallel()
	const n = 100
	c := collection(t)
	docs := make([]bson.D, n)
	for i := range docs {
		docs[i] = bson.D{{Key: "_id", Value: i}, {Key: "owner", Value: ""}}
	}
	if _, err := c.InsertMany(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	holders := map[int][]int{}
	probe(t, func(ctx context.Context, who int) error {
		var d struct {
			ID int `bson:"_id"`
		}
		err := c.FindOneAndUpdate(ctx, bson.D{{Key: "owner", Value: ""}}, bson.D{{Key: "$set", Value: bson.D{{Key: "owner", Value: fmt.Sprint(who)}}}}).Decode(&d)
		if errors.Is(err, driver.ErrNoDocuments) {
			return nil
		}
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		holders[d.ID] = append(holders[d.ID], who)
		return nil
	})
	for id, who := range holders {
		if len(who) > 1 {
			t.Errorf("document %d was leased by %v", id, who)
		}
	}
	if len(holders) != n {
		t.Errorf("%d of %d documents were leased", len(holders), n)
	}
}

func TestServersThatLoseUpdatesAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		info    bson.M
		refused bool
	}{
		"MongoDB":      {bson.M{"version": "7.0.12", "gitVersion": "x"}, false},
		"FerretDB 1":   {bson.M{"version": "7.0.42", "ferretdbVersion": "v1.24.2", "ferretdbFeatures": bson.M{}}, true},
		"FerretDB 0.9": {bson.M{"version": "6.0.42", "ferretdbVersion": "v0.9.0"}, true},
		"FerretDB 2":   {bson.M{"version": "7.0.77", "ferretdb": bson.D{{Key: "version", Value: "v2.1.0"}, {Key: "package", Value: "deb"}}}, false},
	} {
		if err := mongo.Refuse(c.info); errors.Is(err, hayate.ErrInvalid) != c.refused {
			t.Errorf("%s: refused with %v, want refused: %t", name, err, c.refused)
		}
	}
}

func TestDatabaseOfAURI(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]string{
		"mongodb://host":                                   "hayate",
		"mongodb://host:27017/":                            "hayate",
		"mongodb://u:p@a,b:2/events?replicaSet=rs":         "events",
		"mongodb+srv://cluster.example.net/?retryWrites=1": "hayate",
	} {
		if got := mongo.DatabaseOf(uri); got != want {
			t.Errorf("%s names %q, want %q", uri, got, want)
		}
	}
}

func TestOpenFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		uri  string
		kind error
	}{
		"without a URI":      {"", hayate.ErrInvalid},
		"with a URI of HTTP": {"http://user:geheim@host", hayate.ErrInvalid},
		"without a server":   {"mongodb://user:geheim@127.0.0.1:1/?serverSelectionTimeoutMS=100", hayate.ErrBusy},
	} {
		_, err := mongo.Open(t.Context(), mongo.Config{URI: c.uri})
		if !errors.Is(err, c.kind) {
			t.Errorf("Open %s: %v, want a kind of %q", name, err, c.kind)
		}
		if err != nil && strings.Contains(err.Error(), "geheim") {
			t.Errorf("Open %s gives the password away: %v", name, err)
		}
	}
}

func TestMissingIndexIsReported(t *testing.T) {
	t.Parallel()
	uri := database(t)
	s := open(t, uri)
	c, err := driver.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Database(mongo.DatabaseOf(uri)).Collection("executions").Indexes().DropOne(t.Context(), "due_1"); err != nil {
		t.Skipf("the server cannot drop an index: %v", err)
	}
	found, err := s.Check(t.Context())
	if err != nil || len(found) != 1 || !strings.Contains(found[0], "executions lacks the index due_1, which finds executions that may be claimed") {
		t.Errorf("Check found %q, error %v; want the missing index and what it is for", found, err)
	}
	if err := c.Disconnect(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestDocumentsThatAreTooLarge(t *testing.T) {
	t.Parallel()
	s := open(t, database(t))
	e := happened
	e.DataContentType = "text/plain"
	e.Data = make([]byte, 17<<20)
	_, err := s.Accept(t.Context(), e, func(context.Context, *hayate.Event) (router.Decision, error) { return router.Decision{}, nil })
	if !errors.Is(err, hayate.ErrTooLarge) {
		t.Errorf("Accept of 17 MiB: %v, want too large", err)
	}
}

// TestQueueFindsWhatOthersStored has one process accept and another perform.
func TestQueueFindsWhatOthersStored(t *testing.T) {
	t.Parallel()
	uri := database(t)
	a := openWith(t, mongo.Config{URI: uri, Serverless: true})
	b := openWith(t, mongo.Config{URI: uri, Poll: 20 * time.Millisecond})
	rc, err := a.Accept(t.Context(), happened, decide)
	if err != nil {
		t.Fatalf("Accept: %v", err)
	}
	for _, x := range rc.Executions {
		if err := a.Queue().Put(t.Context(), router.QueueItem{Execution: x.ID}); err != nil {
			t.Fatalf("Put: %v", err)
		}
	}
	if n := a.Queue().Depth(); n != 0 {
		t.Errorf("%d items wait in a process that does not receive", n)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got := map[hayate.ExecutionID]int{}
	for len(got) < 2 {
		d, err := b.Queue().Receive(ctx, "")
		if err != nil {
			t.Fatalf("Receive: %v", err)
		}
		if _, err := b.Claim(ctx, router.Claim{Execution: d.Execution, Worker: "b", At: at(5), Until: at(50)}); err != nil {
			t.Fatalf("Claim: %v", err)
		}
		if err := d.Ack(ctx); err != nil {
			t.Fatalf("Ack: %v", err)
		}
		got[d.Execution]++
	}
	for _, x := range rc.Executions {
		if got[x.ID] != 1 {
			t.Errorf("execution %s was received %d times, want once", x.ID, got[x.ID])
		}
	}
}
