package hayate

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"time"
)

// Identifiers that the API shows are 24 hexadecimal digits, the form that
// StackStorm's clients expect of MongoDB's ObjectId: 8 digits of a second
// since 1970, then 16 that tell things of that second apart. They sort by time.
type (
	// EventID names an accepted event (StackStorm: trigger instance).
	EventID string
	// FiringID names one rule's decision on one event (StackStorm: rule enforcement).
	FiringID string
	// ExecutionID names one run of an action.
	ExecutionID string
)

// NewID makes the identifier of a thing that came to be at the second of at
// and that parts identify. Equal arguments give equal identifiers: that is what
// makes every write of hayate repeatable.
func NewID(at time.Time, parts ...string) string {
	var room [160]byte // nearly all fit: nothing is allocated for them
	text := room[:0]
	for _, p := range parts {
		// A length before each part keeps ("ab","c") and ("a","bc") apart.
		text = append(strconv.AppendInt(text, int64(len(p)), 10), ':')
		text = append(text, p...)
	}
	sum := sha256.Sum256(text)
	var b [12]byte
	binary.BigEndian.PutUint32(b[:4], uint32(at.Unix()))
	copy(b[4:], sum[:8])
	var digits [24]byte
	hex.Encode(digits[:], b[:])
	return string(digits[:])
}

// EventIDOf names the event with this uid, accepted at that time.
func EventIDOf(accepted time.Time, uid string) EventID {
	return EventID(NewID(accepted, "event", uid))
}

// FiringIDOf names the decision of a rule on an event.
func FiringIDOf(accepted time.Time, uid string, rule Ref) FiringID {
	return FiringID(NewID(accepted, "firing", uid, string(rule)))
}

// RuleExecutionID names the execution of a rule's action (by its index) for an event.
func RuleExecutionID(accepted time.Time, uid string, rule Ref, action int) ExecutionID {
	return ExecutionID(NewID(accepted, "execution", uid, string(rule), strconv.Itoa(action)))
}

// ChildExecutionID names the execution of a workflow's task: entry is the index
// of the task's entry in the run's sequence, so a loop's second turn differs;
// item is -1 where the task has no items; retry counts from 0.
func ChildExecutionID(root time.Time, run ExecutionID, entry, item, retry int) ExecutionID {
	return ExecutionID(NewID(root, "child", string(run), strconv.Itoa(entry), strconv.Itoa(item), strconv.Itoa(retry)))
}

// IDTime returns the second that an identifier carries, or the zero time where
// it is not an identifier.
func IDTime(id string) time.Time {
	if len(id) != 24 {
		return time.Time{}
	}
	b, err := hex.DecodeString(id)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(int64(binary.BigEndian.Uint32(b[:4])), 0).UTC()
}

// Ref names a resource of a pack: "pack.name".
type Ref string

// NewRef joins a pack and a name.
func NewRef(pack, name string) Ref { return Ref(pack + "." + name) }

// Pack returns what stands before the first dot, or "" where there is none.
func (r Ref) Pack() string {
	for i := 0; i < len(r); i++ {
		if r[i] == '.' {
			return string(r[:i])
		}
	}
	return ""
}

// Name returns what stands behind the first dot, or the whole where there is none.
func (r Ref) Name() string {
	for i := 0; i < len(r); i++ {
		if r[i] == '.' {
			return string(r[i+1:])
		}
	}
	return string(r)
}
