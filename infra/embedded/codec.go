package embedded

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// Records are stored as a sequence of fields: a key (number times two, plus one
// for bytes), then a varint, or a length and that many bytes. Absent fields are
// zero; readers skip numbers they do not know, so fields can be added without a
// new format.

func putInt(b []byte, field int, v int64) []byte {
	if v == 0 {
		return b
	}
	b = binary.AppendUvarint(b, uint64(field)<<1)
	return binary.AppendVarint(b, v)
}

func putBytes[B ~string | ~[]byte](b []byte, field int, v B) []byte {
	if len(v) == 0 {
		return b
	}
	return putPresent(b, field, v)
}

// putPresent writes the field even if it is empty.
func putPresent[B ~string | ~[]byte](b []byte, field int, v B) []byte {
	b = binary.AppendUvarint(b, uint64(field)<<1|1)
	b = binary.AppendUvarint(b, uint64(len(v)))
	return append(b, v...)
}

// putNested begins a field whose so many bytes the caller appends.
func putNested(b []byte, field, size int) []byte {
	b = binary.AppendUvarint(b, uint64(field)<<1|1)
	return binary.AppendUvarint(b, uint64(size))
}

func putID[S ~string](b []byte, field int, id S) []byte {
	if id == "" {
		return b
	}
	var buf [64]byte
	return putPresent(b, field, appendID(buf[:0], string(id)))
}

func putBool(b []byte, field int, v bool) []byte {
	if !v {
		return b
	}
	return putInt(b, field, 1)
}

func putTime(b []byte, field int, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	if n, ok := nanos(t); ok {
		return putInt(b, field, n)
	}
	text, err := t.UTC().MarshalBinary()
	if err != nil {
		return b // a zone of UTC has no offset that could be refused
	}
	return putPresent(b, field, text)
}

// nanos returns the time as nanoseconds since 1970 where they fit and are not
// the zero that stands for no time.
func nanos(t time.Time) (int64, bool) {
	if s := t.Unix(); s < math.MinInt64/1_000_000_000+1 || s > math.MaxInt64/1_000_000_000-1 {
		return 0, false
	}
	n := t.UnixNano()
	return n, n != 0
}

// fields reads a record field by field.
type fields struct {
	rest  []byte
	field int
	n     int64
	bytes []byte
	isInt bool
	err   error
}

func (f *fields) next() bool {
	if len(f.rest) == 0 || f.err != nil {
		return false
	}
	key, n := binary.Uvarint(f.rest)
	if n <= 0 || key > 1<<20 {
		return f.fail()
	}
	f.rest = f.rest[n:]
	f.field, f.isInt = int(key>>1), key&1 == 0
	f.n, f.bytes = 0, nil
	if f.isInt {
		f.n, n = binary.Varint(f.rest)
		if n <= 0 {
			return f.fail()
		}
		f.rest = f.rest[n:]
		return true
	}
	size, n := binary.Uvarint(f.rest)
	if n <= 0 || size > uint64(len(f.rest)-n) {
		return f.fail()
	}
	f.bytes = f.rest[n : n+int(size)]
	f.rest = f.rest[n+int(size):]
	return true
}

func (f *fields) fail() bool {
	f.err = errRecord
	return false
}

var errRecord = errors.New("the record is damaged")

func (f *fields) text() string { return string(f.bytes) }
func (f *fields) id() string   { return idText(f.bytes) }
func (f *fields) flag() bool   { return f.n != 0 }
func (f *fields) raw() []byte  { return slices.Clone(f.bytes) }

func (f *fields) time() time.Time {
	if f.isInt {
		return time.Unix(0, f.n).UTC()
	}
	var t time.Time
	if err := t.UnmarshalBinary(f.bytes); err != nil {
		f.fail()
	}
	return t.UTC()
}

// appendID appends an identifier: twelve bytes for the usual 24 hexadecimal
// digits; any other text behind one or two bytes 0xff, so that it never has twelve.
func appendID(b []byte, id string) []byte {
	if len(id) == 24 {
		var raw [12]byte
		if _, err := hex.Decode(raw[:], []byte(id)); err == nil && isLowerHex(id) {
			return append(b, raw[:]...)
		}
	}
	b = append(b, 0xff)
	if len(id) == 11 {
		b = append(b, 0xff)
	}
	return append(b, id...)
}

func isLowerHex(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 'A' && s[i] <= 'F' {
			return false
		}
	}
	return true
}

func idBytes[S ~string](id S) []byte { return appendID(make([]byte, 0, 12), string(id)) }

func idText(b []byte) string {
	if len(b) == 12 {
		return hex.EncodeToString(b)
	}
	for range 2 {
		if len(b) > 0 && b[0] == 0xff {
			b = b[1:]
		}
	}
	return string(b)
}

// The fields of an execution. Numbers are never reused.
const (
	xAction = iota + 1
	xRunner
	xStatus
	xParameters
	xContext
	xEvent
	xRule
	xParent
	xRoot
	xTrace
	xLineage
	xIdempotent
	xTarget
	xNotBefore
	xTimeout
	xAttempt
	xWorker
	xLeaseUntil
	xCancel
	xResult
	xResultHash
	xResultSize
	xVerified
	xCreated
	xStarted
	xEnded
	xLogTime
	xLogStatus
	xVersion
	xTold
	xRootSelf
	xTraceEvent
	xFollow
	xDeadline
)

// appendExecution appends the record of an execution; its id is not part of it.
func appendExecution(b []byte, x *hayate.Execution, told bool) []byte {
	b = putBytes(b, xAction, x.Action)
	b = putBytes(b, xRunner, x.Runner)
	b = putBytes(b, xStatus, x.Status)
	b = putBytes(b, xParameters, x.Parameters)
	b = putBytes(b, xContext, x.Context)
	b = putID(b, xEvent, x.Event)
	b = putBytes(b, xRule, x.Rule)
	b = putID(b, xParent, x.Parent)
	if x.Root == x.ID {
		b = putBool(b, xRootSelf, true)
	} else {
		b = putID(b, xRoot, x.Root)
	}
	if x.Trace != "" && x.Trace == string(x.Event) {
		b = putBool(b, xTraceEvent, true)
	} else {
		b = putBytes(b, xTrace, x.Trace)
	}
	for _, r := range x.Lineage {
		b = putPresent(b, xLineage, r)
	}
	b = putBool(b, xIdempotent, x.Idempotent)
	b = putBool(b, xFollow, x.Follow)
	b = putBytes(b, xTarget, x.Target)
	b = putTime(b, xNotBefore, x.NotBefore)
	b = putInt(b, xTimeout, int64(x.Timeout))
	b = putTime(b, xDeadline, x.Deadline)
	b = putInt(b, xAttempt, int64(x.Attempt))
	b = putBytes(b, xWorker, x.Worker)
	b = putTime(b, xLeaseUntil, x.LeaseUntil)
	b = putBytes(b, xCancel, x.Cancel)
	b = putBytes(b, xResult, x.Result)
	if x.ResultRef != nil {
		b = putPresent(b, xResultHash, x.ResultRef.Hash)
		b = putInt(b, xResultSize, x.ResultRef.Size)
	}
	b = putBool(b, xVerified, x.Verified)
	b = putTime(b, xCreated, x.Created)
	b = putTime(b, xStarted, x.Started)
	b = putTime(b, xEnded, x.Ended)
	for _, t := range x.Log {
		b = putTime(b, xLogTime, t.Time)
		b = putPresent(b, xLogStatus, t.Status)
	}
	b = putInt(b, xVersion, x.Version)
	return putBool(b, xTold, told)
}

// readExecution reads what appendExecution wrote.
func readExecution(id hayate.ExecutionID, b []byte) (x hayate.Execution, told bool, err error) {
	x.ID = id
	var logged time.Time
	f := fields{rest: b}
	for f.next() {
		switch f.field {
		case xLineage:
			x.Lineage = append(x.Lineage, hayate.Ref(f.text()))
		case xLogTime:
			logged = f.time()
		case xLogStatus:
			x.Log = append(x.Log, hayate.Transition{Time: logged, Status: hayate.Status(f.text())})
			logged = time.Time{}
		case xRootSelf:
			x.Root = id
		case xTold:
			told = f.flag()
		default:
			readOrigin(&x, &f)
			readProgress(&x, &f)
		}
	}
	if f.err != nil {
		return x, false, fmt.Errorf("read execution %s: %w", id, f.err)
	}
	return x, told, nil
}

// readOrigin reads the fields that say what was asked.
func readOrigin(x *hayate.Execution, f *fields) {
	switch f.field {
	case xAction:
		x.Action = hayate.Ref(f.text())
	case xRunner:
		x.Runner = f.text()
	case xParameters:
		x.Parameters = f.raw()
	case xContext:
		x.Context = f.raw()
	case xEvent:
		x.Event = hayate.EventID(f.id())
	case xRule:
		x.Rule = hayate.Ref(f.text())
	case xParent:
		x.Parent = hayate.ExecutionID(f.id())
	case xRoot:
		x.Root = hayate.ExecutionID(f.id())
	case xTrace:
		x.Trace = f.text()
	case xTraceEvent:
		x.Trace = string(x.Event)
	case xFollow:
		x.Follow = f.flag()
	case xIdempotent:
		x.Idempotent = f.flag()
	case xTarget:
		x.Target = f.text()
	case xNotBefore:
		x.NotBefore = f.time()
	case xTimeout:
		x.Timeout = time.Duration(f.n)
	case xDeadline:
		x.Deadline = f.time()
	case xCreated:
		x.Created = f.time()
	}
}

// readProgress reads the fields that say where it stands.
func readProgress(x *hayate.Execution, f *fields) {
	switch f.field {
	case xStatus:
		x.Status = hayate.Status(f.text())
	case xAttempt:
		x.Attempt = int(f.n)
	case xWorker:
		x.Worker = f.text()
	case xLeaseUntil:
		x.LeaseUntil = f.time()
	case xCancel:
		x.Cancel = f.text()
	case xResult:
		x.Result = f.raw()
	case xResultHash:
		x.ResultRef = &hayate.BlobRef{Hash: f.text()}
	case xResultSize:
		if x.ResultRef != nil {
			x.ResultRef.Size = f.n
		}
	case xVerified:
		x.Verified = f.flag()
	case xStarted:
		x.Started = f.time()
	case xEnded:
		x.Ended = f.time()
	case xVersion:
		x.Version = f.n
	}
}

// The fields of an event and, nested, of its firings.
const (
	eID = iota + 1
	eSource
	eType
	eSubject
	eTime
	eContentType
	eSchema
	eExtName
	eExtText
	eExtBool
	eExtInt
	eData
	eAccepted
	eFiring
	eFailed
)

func appendEvent(b []byte, e *hayate.Event, firings []hayate.Firing, failed string) []byte {
	b = putBytes(b, eID, e.ID)
	b = putBytes(b, eSource, e.Source)
	b = putBytes(b, eType, e.Type)
	b = putBytes(b, eSubject, e.Subject)
	if !e.Time.IsZero() {
		// The zone is the sender's and is kept; whole minutes are all that RFC 3339 knows.
		if t, err := e.Time.MarshalBinary(); err == nil {
			b = putPresent(b, eTime, t)
		} else {
			b = putTime(b, eTime, e.Time)
		}
	}
	b = putBytes(b, eContentType, e.DataContentType)
	b = putBytes(b, eSchema, e.DataSchema)
	for name, v := range e.Extensions {
		b = putPresent(b, eExtName, name)
		switch v := v.(type) {
		case bool:
			b = binary.AppendUvarint(b, eExtBool<<1)
			if v {
				b = binary.AppendVarint(b, 1)
			} else {
				b = binary.AppendVarint(b, 0)
			}
		case int32:
			b = binary.AppendUvarint(b, eExtInt<<1)
			b = binary.AppendVarint(b, int64(v))
		default:
			b = putPresent(b, eExtText, hayate.AttributeText(v))
		}
	}
	if e.Data != nil {
		b = putPresent(b, eData, e.Data)
	}
	b = putTime(b, eAccepted, e.AcceptedAt)
	var nested []byte
	for i := range firings {
		nested = appendFiring(nested[:0], &firings[i])
		b = putPresent(b, eFiring, nested)
	}
	return putBytes(b, eFailed, failed)
}

func readEvent(id hayate.EventID, b []byte) (router.EventRecord, error) {
	r := router.EventRecord{ID: id}
	e := &r.Event
	var ext string
	f := fields{rest: b}
	for f.next() {
		switch f.field {
		case eID:
			e.ID = f.text()
		case eSource:
			e.Source = f.text()
		case eType:
			e.Type = f.text()
		case eSubject:
			e.Subject = f.text()
		case eTime:
			if f.isInt {
				e.Time = f.time()
			} else if err := e.Time.UnmarshalBinary(f.bytes); err != nil {
				f.fail()
			}
		case eContentType:
			e.DataContentType = f.text()
		case eSchema:
			e.DataSchema = f.text()
		case eExtName:
			ext = f.text()
			if e.Extensions == nil {
				e.Extensions = map[string]any{}
			}
		case eExtText, eExtBool, eExtInt:
			readExtension(e, ext, &f)
		case eData:
			e.Data = append([]byte{}, f.bytes...)
		case eAccepted:
			e.AcceptedAt = f.time()
			r.At = e.AcceptedAt
		case eFiring:
			fi, err := readFiring(id, f.bytes)
			if err != nil {
				return r, err
			}
			r.Firings = append(r.Firings, fi)
		case eFailed:
			r.Failed = f.text()
		}
	}
	if f.err != nil {
		return r, fmt.Errorf("read event %s: %w", id, f.err)
	}
	return r, nil
}

func readExtension(e *hayate.Event, name string, f *fields) {
	if e.Extensions == nil {
		f.fail()
		return
	}
	switch f.field {
	case eExtText:
		e.Extensions[name] = f.text()
	case eExtBool:
		e.Extensions[name] = f.flag()
	case eExtInt:
		e.Extensions[name] = int32(f.n)
	}
}

const (
	fID = iota + 1
	fRule
	fRevision
	fAt
	fStatus
	fReason
	fExecution
	fParameters
)

func appendFiring(b []byte, f *hayate.Firing) []byte {
	b = putID(b, fID, f.ID)
	b = putBytes(b, fRule, f.Rule)
	b = putBytes(b, fRevision, f.RuleRevision)
	b = putTime(b, fAt, f.At)
	b = putBytes(b, fStatus, f.Status)
	b = putBytes(b, fReason, f.Reason)
	for _, x := range f.Executions {
		b = putID(b, fExecution, x)
	}
	for _, p := range f.Parameters {
		b = putPresent(b, fParameters, p)
	}
	return b
}

func readFiring(event hayate.EventID, b []byte) (hayate.Firing, error) {
	r := hayate.Firing{Event: event}
	f := fields{rest: b}
	for f.next() {
		switch f.field {
		case fID:
			r.ID = hayate.FiringID(f.id())
		case fRule:
			r.Rule = hayate.Ref(f.text())
		case fRevision:
			r.RuleRevision = f.text()
		case fAt:
			r.At = f.time()
		case fStatus:
			r.Status = hayate.FiringStatus(f.text())
		case fReason:
			r.Reason = f.text()
		case fExecution:
			r.Executions = append(r.Executions, hayate.ExecutionID(f.id()))
		case fParameters:
			r.Parameters = append(r.Parameters, f.raw())
		}
	}
	if f.err != nil {
		return r, fmt.Errorf("read firing of event %s: %w", event, f.err)
	}
	return r, nil
}
