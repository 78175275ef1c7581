package mongo

import (
	"encoding/json"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/router/record"
)

// execution is the document of an execution. What never changes but by a Change
// lies in Body; what claims, heartbeats and completions change has fields of its
// own, so that each of them is one conditional update that reads nothing. Times
// are microseconds since 1970, 0 for none.
type execution struct {
	ID     string `bson:"_id"`
	V      int64  `bson:"v"`
	At     int64  `bson:"at"`            // created
	N      int32  `bson:"n"`             // position among those stored together
	Tree   string `bson:"t"`             // event or topmost ancestor: what is purged together
	Top    int64  `bson:"top,omitempty"` // created, of a topmost execution without an event
	Action string `bson:"a"`
	Runner string `bson:"r"`
	Rule   string `bson:"rule"`
	Event  string `bson:"ev"`
	Parent string `bson:"p"`
	Type   string `bson:"et,omitempty"` // of the event
	Source string `bson:"es,omitempty"` // of the event
	Target string `bson:"tgt"`          // under which it waits in a queue
	Body   []byte `bson:"b"`
	Params []byte `bson:"par,omitempty"`
	Ctx    []byte `bson:"ctx,omitempty"`

	Status    string   `bson:"s"`
	Attempt   int      `bson:"k"`
	Worker    string   `bson:"w"`
	Cancel    string   `bson:"can,omitempty"`
	NotBefore int64    `bson:"nb"`
	Start     int64    `bson:"start,omitempty"`
	End       int64    `bson:"end,omitempty"`
	Lease     int64    `bson:"lease,omitempty"` // only while somebody may hold it
	Result    []byte   `bson:"res,omitempty"`
	Ref       *blobRef `bson:"ref,omitempty"`
	Verified  bool     `bson:"ok"`
	Log       []entry  `bson:"log"`

	Kid  int64  `bson:"kid,omitempty"`  // created, while it has not completed, where its end must be heard of; then it is renamed:
	Tell int64  `bson:"tell,omitempty"` // created, while somebody has to hear of the end
	Due  int64  `bson:"due,omitempty"`  // from when it may be claimed, while it may
	Out  int64  `bson:"ob,omitempty"`   // Due, until a queue has been told
	Q    string `bson:"q,omitempty"`    // process whose queue was told
	Last string `bson:"lb,omitempty"`   // outbox that changed it last
	Box  *box   `bson:"box,omitempty"`  // what else its last change said
}

// optional are the fields that may be absent, and that an update must remove
// where they are.
var optional = [...]string{"top", "par", "ctx", "can", "start", "end", "lease", "res", "ref", "kid", "tell", "due", "ob", "q"}

type blobRef struct {
	Hash string `bson:"h"`
	Size int64  `bson:"n"`
}

type entry struct {
	At     int64  `bson:"t"`
	Status string `bson:"s"`
}

// box is what belongs to a change beyond the document that carries it.
type box struct {
	V      int64       `bson:"v"` // version of the document that the change made
	Insert []execution `bson:"ins,omitempty"`
	Update []execution `bson:"upd,omitempty"` // with the version they shall have
	Ends   []end       `bson:"ends,omitempty"`
	Told   []string    `bson:"told,omitempty"`
}

func (b *box) empty() bool { return len(b.Insert)+len(b.Update)+len(b.Ends)+len(b.Told) == 0 }

// end is a completion in an outbox.
type end struct {
	ID       string   `bson:"id"`
	Attempt  int      `bson:"k"`
	Worker   string   `bson:"w"`
	At       int64    `bson:"at"`
	Status   string   `bson:"s"`
	Result   []byte   `bson:"res,omitempty"`
	Verified bool     `bson:"ok,omitempty"`
	Ref      *blobRef `bson:"ref,omitempty"`
}

func encodeEnd(c *router.Completion) end {
	e := end{ID: string(c.Execution), Attempt: c.Attempt, Worker: c.Worker, At: micros(c.At), Status: string(c.Result.Status),
		Result: c.Result.Value, Verified: c.Result.Verified}
	if c.Blob != nil {
		e.Ref = &blobRef{c.Blob.Hash, c.Blob.Size}
	}
	return e
}

func (e *end) decode() router.Completion {
	c := router.Completion{Hold: router.Hold{Execution: hayate.ExecutionID(e.ID), Attempt: e.Attempt, Worker: e.Worker}, At: instant(e.At),
		Result: hayate.Result{Status: hayate.Status(e.Status), Value: e.Result, Verified: e.Verified}}
	if e.Ref != nil {
		c.Blob = &hayate.BlobRef{Hash: e.Ref.Hash, Size: e.Ref.Size}
	}
	return c
}

// maxDocument is the most that one document may hold, in bytes. Some servers
// answer a larger one by closing the connection, which says nothing.
const maxDocument = 16 << 20

// fit encodes a document, or says that it is too large for MongoDB.
func fit(v any) (bson.Raw, error) {
	raw, err := bson.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode a document: %w: %w", err, hayate.ErrInvalid)
	}
	if len(raw) > maxDocument {
		return nil, fmt.Errorf("it makes a document of %d bytes, MongoDB's limit is %d: %w", len(raw), maxDocument, hayate.ErrTooLarge)
	}
	return raw, nil
}

// micros is a time for a document, rounded up: nothing is due too early.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	u := t.UnixMicro()
	if t.Nanosecond()%1000 != 0 {
		u++
	}
	return u
}

// instant is the time of a document.
func instant(u int64) time.Time {
	if u == 0 {
		return time.Time{}
	}
	return time.UnixMicro(u).UTC()
}

// encode makes the document of an execution as it is to be stored.
func encode(x *hayate.Execution, n int) (execution, error) {
	body := *x
	body.Status, body.Attempt, body.Worker, body.Cancel, body.Result, body.ResultRef = "", 0, "", "", nil, nil
	body.NotBefore, body.LeaseUntil, body.Started, body.Ended, body.Log = time.Time{}, time.Time{}, time.Time{}, time.Time{}, nil
	body.Parameters, body.Context, body.Verified, body.Version = nil, nil, false, 0
	b, err := json.Marshal(&body)
	if err != nil {
		return execution{}, fmt.Errorf("write execution %s: %w: %w", x.ID, err, hayate.ErrInvalid)
	}
	d := execution{
		ID: string(x.ID), V: x.Version, At: micros(x.Created), N: int32(n), Tree: tree(x), Action: string(x.Action), Runner: x.Runner,
		Rule: string(x.Rule), Event: string(x.Event), Parent: string(x.Parent), Target: router.TargetOf(x), Body: b, Params: x.Parameters, Ctx: x.Context,
		Status: string(x.Status), Attempt: x.Attempt, Worker: x.Worker, Cancel: x.Cancel, NotBefore: micros(x.NotBefore),
		Start: micros(x.Started), End: micros(x.Ended), Result: x.Result, Verified: x.Verified, Log: make([]entry, len(x.Log)),
	}
	for i, l := range x.Log {
		d.Log[i] = entry{micros(l.Time), string(l.Status)}
	}
	if x.ResultRef != nil {
		d.Ref = &blobRef{x.ResultRef.Hash, x.ResultRef.Size}
	}
	if x.Event == "" && x.Parent == "" {
		d.Top = d.At
	}
	duty, at := record.DutyOf(x, false)
	switch {
	case duty == record.Tell:
		d.Tell = d.At
	case x.Parent != "" || x.Follow:
		d.Kid = d.At
	}
	if duty == record.Dispatch {
		d.Due = micros(at)
		d.Out = d.Due
	}
	// Kept whatever the status, so that what was stored is what is read.
	d.Lease = micros(x.LeaseUntil)
	return d, nil
}

// tree names what an execution is purged with.
func tree(x *hayate.Execution) string {
	switch {
	case x.Event != "":
		return string(x.Event)
	case x.Root != "":
		return string(x.Root)
	}
	return string(x.ID)
}

// decode makes an execution of its document.
func (d *execution) decode() (hayate.Execution, error) {
	var x hayate.Execution
	if err := json.Unmarshal(d.Body, &x); err != nil {
		return x, fmt.Errorf("read execution %s: its document is damaged: %w", d.ID, err)
	}
	x.Parameters, x.Context, x.Result = d.Params, d.Ctx, d.Result
	x.Status, x.Attempt, x.Worker, x.Cancel, x.Verified = hayate.Status(d.Status), d.Attempt, d.Worker, d.Cancel, d.Verified
	x.NotBefore, x.Started, x.Ended, x.LeaseUntil = instant(d.NotBefore), instant(d.Start), instant(d.End), instant(d.Lease)
	x.Version = d.V
	if d.Ref != nil {
		x.ResultRef = &hayate.BlobRef{Hash: d.Ref.Hash, Size: d.Ref.Size}
	}
	x.Log = make([]hayate.Transition, len(d.Log))
	for i, l := range d.Log {
		x.Log[i] = hayate.Transition{Time: instant(l.At), Status: hayate.Status(l.Status)}
	}
	return x, nil
}

// update is the update that makes a stored document what d is, but for what only
// insertion knows.
func (d *execution) update() (bson.D, error) {
	raw, err := bson.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("write execution %s: %w", d.ID, err)
	}
	var set bson.D
	if err := bson.Unmarshal(raw, &set); err != nil {
		return nil, fmt.Errorf("write execution %s: %w", d.ID, err)
	}
	have := map[string]bool{}
	keep := set[:0]
	for _, e := range set {
		switch e.Key {
		case "_id", "n", "et", "es":
			continue // set by the insertion
		}
		have[e.Key] = true
		keep = append(keep, e)
	}
	var unset bson.D
	for _, k := range optional {
		if !have[k] {
			unset = append(unset, bson.E{Key: k, Value: ""})
		}
	}
	u := bson.D{{Key: "$set", Value: keep}}
	if len(unset) > 0 {
		u = append(u, bson.E{Key: "$unset", Value: unset})
	}
	return u, nil
}

// event is the document of an accepted event; its _id is the hash of the uid.
// When the event is purged, the key, the identifier and the time remain.
type event struct {
	Key   string      `bson:"_id"`
	ID    string      `bson:"id"`
	At    int64       `bson:"at"`
	Type  string      `bson:"type,omitempty"`
	Src   string      `bson:"src,omitempty"`
	Attrs []byte      `bson:"b,omitempty"` // CloudEvents JSON without data
	Data  *[]byte     `bson:"d,omitempty"`
	F     []firing    `bson:"f,omitempty"`
	NF    int         `bson:"nf"`
	Fail  string      `bson:"fail,omitempty"`
	Out   int64       `bson:"ob,omitempty"` // At, until Xs are stored as executions
	Xs    []execution `bson:"xs,omitempty"`
	Und   int64       `bson:"und,omitempty"`   // At, while nothing is decided on it
	Gone  int64       `bson:"gone,omitempty"`  // At, once it is purged
	Going int64       `bson:"going,omitempty"` // At, while the rest of the tree is purged
}

type firing struct {
	ID   string   `bson:"id"`
	Rule string   `bson:"rule"`
	X    []string `bson:"x,omitempty"`
	Body []byte   `bson:"b"`
}

func encodeEvent(key string, e *hayate.Event, d *router.Decision) (event, error) {
	attrs := *e
	attrs.Data = nil
	doc := event{Key: key, ID: string(hayate.EventIDOf(e.AcceptedAt, e.UID())), At: micros(e.AcceptedAt), Type: e.Type, Src: e.Source,
		Attrs: attrs.AppendJSON(nil), NF: len(d.Firings), Fail: d.Failed}
	if e.Data != nil {
		doc.Data = &e.Data
	}
	for i := range d.Firings {
		f := &d.Firings[i]
		b, err := json.Marshal(f)
		if err != nil {
			return event{}, fmt.Errorf("write firing %s: %w: %w", f.ID, err, hayate.ErrInvalid)
		}
		doc.F = append(doc.F, firing{ID: string(f.ID), Rule: string(f.Rule), X: texts(f.Executions), Body: b})
	}
	for i := range d.Executions {
		x, err := encode(&d.Executions[i], i)
		if err != nil {
			return event{}, err
		}
		x.Type, x.Source = e.Type, e.Source
		doc.Xs = append(doc.Xs, x)
	}
	if len(doc.Xs) > 0 {
		doc.Out = doc.At
	}
	return doc, nil
}

func (d *event) decode() (router.EventRecord, error) {
	r := router.EventRecord{ID: hayate.EventID(d.ID), At: instant(d.At), Failed: d.Fail}
	if err := r.Event.UnmarshalJSON(d.Attrs); err != nil {
		return r, fmt.Errorf("read event %s: its document is damaged: %w", d.ID, err)
	}
	r.Event.AcceptedAt = r.At
	if d.Data != nil {
		r.Event.Data = *d.Data
		if r.Event.Data == nil {
			r.Event.Data = []byte{}
		}
	}
	var err error
	r.Firings, err = d.firings()
	return r, err
}

func (d *event) firings() ([]hayate.Firing, error) {
	if len(d.F) == 0 {
		return nil, nil
	}
	list := make([]hayate.Firing, len(d.F))
	for i := range d.F {
		if err := json.Unmarshal(d.F[i].Body, &list[i]); err != nil {
			return nil, fmt.Errorf("read firing %s: its document is damaged: %w", d.F[i].ID, err)
		}
	}
	return list, nil
}

func texts[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}
