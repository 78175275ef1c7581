package packs_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/packs"
)

var update = flag.Bool("update", false, "rewrite what the archives in testdata want")

// archive splits a text archive: lines "-- name --" begin a file each.
func archive(text string) fstest.MapFS {
	files := fstest.MapFS{}
	var current *fstest.MapFile
	for line := range strings.Lines(text) {
		if name, ok := strings.CutPrefix(strings.TrimSuffix(line, " --\n"), "-- "); ok && strings.HasSuffix(line, " --\n") {
			current = &fstest.MapFile{}
			files[name] = current
		} else if current != nil {
			current.Data = append(current.Data, line...)
		}
	}
	return files
}

// TestArchives reads the pack of each archive in testdata and compares the
// findings with those that its file "want" lists.
func TestArchives(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			files := archive(string(raw))
			want := string(files["want"].Data)
			delete(files, "want")
			_, found := packs.Read(files, ".")
			var got strings.Builder
			for _, d := range found {
				fmt.Fprintln(&got, d)
			}
			if got.String() == want {
				return
			}
			if *update {
				head, _, _ := strings.Cut(string(raw), "-- want --\n")
				if err := os.WriteFile(name, []byte(head+"-- want --\n"+got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			t.Errorf("got\n%s\nwant\n%s", got.String(), want)
		})
	}
}

// read reads a pack that must be without findings.
func read(t *testing.T, fsys fs.FS, dir string) *packs.Pack {
	t.Helper()
	p, found := packs.Read(fsys, dir)
	if len(found) > 0 {
		t.Fatalf("read %s: %v", dir, found)
	}
	return p
}

const packYAML = "name: shop\ndescription: d\nversion: 1.2.3\nauthor: a\nemail: e@example.com\npipefail: true\n"

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

func TestReadAction(t *testing.T) {
	t.Parallel()
	p := read(t, fstest.MapFS{
		"shop/pack.yaml": file(packYAML),
		"shop/actions/check.yaml": file(`name: check
description: Checks.
runner_type: local-shell-script
entry_point: check.sh
idempotent: yes
parameters:
  url: {type: string, required: true, position: 0, description: "Address\n"}
  limit: {type: integer, default: 5, position: 1}
  token: {type: string, secret: true}
  note: {default: null}
expect:
  exit_codes: [0, 2]
  stdout: ok
  ranges: [{path: stdout.age, max: 10}]
  files: [{path: "/tmp/{{ url }}", fresh: true, max_age: 60, min_size: 1}, {path: /tmp/lock, absent: true}]
`),
	}, "shop")
	a := p.Actions[0]
	if got := a.Ref(); got != "shop.check" {
		t.Errorf("got the reference %s", got)
	}
	if !a.Enabled || !a.Idempotent || a.Pipefail == nil || !*a.Pipefail || a.Source != "actions/check.yaml" || a.Revision == "" {
		t.Errorf("got %+v", a)
	}
	most := 10.0
	if want := (&hayate.Expect{ExitCodes: []int{0, 2}, Stdout: "ok", Ranges: []hayate.Range{{Path: "stdout.age", Max: &most}},
		Files: []hayate.File{{Path: "/tmp/{{ url }}", Fresh: true, MaxAge: 60, MinSize: 1}, {Path: "/tmp/lock", Absent: true}}}); !reflect.DeepEqual(a.Expect, want) {
		t.Errorf("got %+v, want %+v", a.Expect, want)
	}
	url, note := a.Parameters.Get("url"), a.Parameters.Get("note")
	if !url.Required || *url.Position != 0 || url.Description != "Address" || url.Default != nil {
		t.Errorf("got %+v", url)
	}
	if string(note.Default) != "null" || note.Type != "" {
		t.Errorf("a null default is not an absent one: got %+v", note)
	}
	if got := string(a.Parameters.Get("limit").Schema); got != `{"type":"integer","default":5,"position":1}` {
		t.Errorf("got the schema %s", got)
	}
	if !a.Parameters.Get("token").Secret {
		t.Error("the token is not secret")
	}
}

func TestReadRule(t *testing.T) {
	t.Parallel()
	p := read(t, fstest.MapFS{
		"pack.yaml": file(packYAML),
		"rules/a.yaml": file(`name: a
type: {ref: backstop}
mode: shadow
trigger: {type: core.st2.webhook, parameters: {url: x}}
criteria:
  trigger.body.n#1: {type: gt, pattern: 1}
  trigger.body.n#2: {type: lt, pattern: 0777}
pattern: {data: {state: [open]}}
filters: [{exact: {type: x}}]
action: {ref: core.echo, parameters: {message: "{{ trigger.body }}"}}
actions:
  - {ref: core.noop}
`),
		"rules/b.yaml": file("name: b\nenabled: on\npattern: {source: [x]}\nactions: [{ref: core.noop}]\n"),
	}, ".")
	a, b := p.Rules[0], p.Rules[1]
	a.Revision, b.Revision = "", ""
	want := hayate.Rule{Pack: "shop", Name: "a", Kind: hayate.KindBackstop, Mode: hayate.ModeShadow, Source: "rules/a.yaml",
		Trigger:  hayate.Trigger{Type: "core.st2.webhook", Parameters: json.RawMessage(`{"url":"x"}`)},
		Criteria: json.RawMessage(`{"trigger.body.n#1":{"type":"gt","pattern":1},"trigger.body.n#2":{"type":"lt","pattern":511}}`),
		Pattern:  json.RawMessage(`{"data":{"state":["open"]}}`), Filters: json.RawMessage(`[{"exact":{"type":"x"}}]`),
		Actions: []hayate.RuleAction{{Ref: "core.echo", Parameters: json.RawMessage(`{"message":"{{ trigger.body }}"}`)}, {Ref: "core.noop"}}}
	if !reflect.DeepEqual(a, want) {
		t.Errorf("got\n%+v\nwant\n%+v", a, want)
	}
	if !b.Enabled || b.Kind != hayate.KindStandard || b.Trigger.Type != "" {
		t.Errorf("got %+v", b)
	}
}

func TestReadTheRest(t *testing.T) {
	t.Parallel()
	p := read(t, fstest.MapFS{
		"pack.yaml":           file(packYAML),
		"config.schema.yaml":  file("url: {type: string, required: true}\n"),
		"triggers/sold.yaml":  file("name: sold\nparameters_schema: {type: object, properties: {shop: {type: string, required: true}}}\n"),
		"sensors/till.yml":    file("class_name: Till\nentry_point: till.py\npoll_interval: 30\ntrigger_types: [{name: opened, payload_schema: {type: object}}]\n"),
		"aliases/sell.yaml":   file("name: sell\naction_ref: shop.sell\nformats:\n  - sell {{ what }}\n  - {display: sell, representation: [sell it]}\n"),
		"policies/retry.yaml": file("name: again\nresource_ref: shop.sell\npolicy_type: action.retry\nparameters: {retry_on: timeout}\n"),
		"actions/deep/x.yaml": file("not: read\n"),
		"actions/config.yaml": file("not: read\n"),
		"actions/.swap.yaml":  file("not: read\n"),
	}, ".")
	if p.Ref != "shop" || p.Version != "1.2.3" || string(p.ConfigSchema) != `{"url":{"type":"string","required":true}}` {
		t.Errorf("got %+v", p)
	}
	if len(p.TriggerTypes) != 2 || p.TriggerTypes[0].Ref() != "shop.sold" || p.TriggerTypes[1].Ref() != "shop.opened" {
		t.Errorf("got the trigger types %+v", p.TriggerTypes)
	}
	s := p.Sensors[0]
	if s.Ref() != "shop.Till" || !s.Enabled || s.PollInterval != 30 || !reflect.DeepEqual(s.TriggerTypes, []hayate.Ref{"shop.opened"}) {
		t.Errorf("got %+v", s)
	}
	want := []packs.AliasFormat{{Display: "sell {{ what }}", Representation: []string{"sell {{ what }}"}}, {Display: "sell", Representation: []string{"sell it"}}}
	if a := p.Aliases[0]; a.ActionRef != "shop.sell" || !reflect.DeepEqual(a.Formats, want) {
		t.Errorf("got %+v", a)
	}
	if got := string(p.Policies[0].Parameters); got != `{"retry_on":"timeout","max_retry_count":2,"delay":0}` {
		t.Errorf("got the policy's parameters %s", got)
	}
}

func TestRef(t *testing.T) {
	t.Parallel()
	const rest = "\ndescription: d\nversion: 1.0.0\nauthor: a\nemail: null\n"
	tests := []struct{ name, dir, yaml, ref string }{
		{"the key ref wins", "folder", "name: Name\nref: given" + rest, "given"},
		{"then the folder", "folder", "name: name" + rest, "folder"},
		{"then the name", "Some-Folder", "name: name" + rest, "name"},
		{"or there is none", "Some-Folder", "name: Name" + rest, ""},
	}
	for _, tt := range tests {
		p, _ := packs.Read(fstest.MapFS{tt.dir + "/pack.yaml": file(tt.yaml)}, tt.dir)
		got := ""
		if p != nil {
			got = p.Ref
		}
		if got != tt.ref {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.ref)
		}
	}
}

func TestAt(t *testing.T) {
	t.Parallel()
	p := read(t, fstest.MapFS{
		"packs/shop/pack.yaml":    file(packYAML),
		"packs/shop/rules/a.yaml": file("name: a\ntrigger: {type: x.y}\naction:\n  ref: shop.nope\n"),
	}, "packs/shop")
	tests := map[string]string{
		"/action/ref":          "packs/shop/rules/a.yaml:4:8: there is no action shop.nope",
		"/action/parameters/x": "packs/shop/rules/a.yaml:4:3: there is no action shop.nope",
	}
	for pointer, want := range tests {
		if got := p.At("rules/a.yaml", pointer, packs.Error, "unknown-action", "there is no action %s", "shop.nope").String(); got != want {
			t.Errorf("%s: got %s, want %s", pointer, got, want)
		}
	}
}

func TestDigest(t *testing.T) {
	t.Parallel()
	digest := func(files fstest.MapFS) string {
		d, err := packs.Digest(files, "p")
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	a := digest(fstest.MapFS{"p/a": file("1"), "p/b/c": file("2"), "q": file("x")})
	same := digest(fstest.MapFS{"p/b/c": file("2"), "p/a": file("1"), "p/.git/x": file("y"), "p/__pycache__/a.pyc": file("z"), "p/b/c.pyc": file("z")})
	if a != same {
		t.Errorf("the same content has the digests %s and %s", a, same)
	}
	if root, err := packs.Digest(fstest.MapFS{"a": file("1"), "b/c": file("2")}, "."); err != nil || root != a {
		t.Errorf("the same content has the digests %s and %s, %v", a, root, err)
	}
	for _, other := range []fstest.MapFS{
		{"p/a": file("1"), "p/b/c": file("3")}, {"p/a": file("1"), "p/b/d": file("2")},
		{"p/a": file("1"), "p/b/c": file("2"), "p/d": file("")}, {"p/a1": file(""), "p/b/c": file("2")},
	} {
		if digest(other) == a {
			t.Errorf("other content has the same digest: %v", other)
		}
	}
}

func TestOverride(t *testing.T) {
	t.Parallel()
	const action = "runner_type: noop\nname: "
	p := read(t, fstest.MapFS{
		"pack.yaml": file(packYAML), "actions/a.yaml": file(action + "a\n"), "actions/b.yaml": file(action + "b\n"),
		"rules/r.yaml": file("name: r\ntrigger: {type: x}\naction: {ref: core.noop}\n"),
	}, ".")
	o, found := packs.ReadOverrides(fstest.MapFS{
		"overrides/_global.yaml": file("rules:\n  defaults: {enabled: true}\n"),
		"overrides/shop.yaml":    file("actions:\n  defaults: {enabled: false}\n  exceptions:\n    b: {enabled: true}\n"),
		"overrides/other.yaml":   file("actions: {defaults: {enabled: false}}\n"),
	}, "overrides", "shop")
	if len(found) > 0 {
		t.Fatal(found)
	}
	if got, want := p.Override(o), (packs.Counts{Actions: 1, Rules: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if p.Actions[0].Enabled || !p.Actions[1].Enabled || !p.Rules[0].Enabled {
		t.Errorf("got %+v %+v", p.Actions, p.Rules)
	}
	_, found = packs.ReadOverrides(fstest.MapFS{
		"_global.yaml": file("actions:\n  exceptions: {a: {enabled: true}}\n"),
		"shop.yaml":    file("actions:\n  defaults: {enable: true}\n"),
	}, ".", "shop")
	want := []string{"_global.yaml:2:3: exceptions belong into the file of a pack, not into _global.yaml", `shop.yaml:2:14: unknown key "enable", did you mean "enabled"?`}
	if len(found) != 2 || found[0].String() != want[0] || found[1].String() != want[1] {
		t.Errorf("got %v, want %v", found, want)
	}
}

func TestReadConfig(t *testing.T) {
	t.Parallel()
	p := read(t, fstest.MapFS{
		"pack.yaml": file(packYAML),
		"config.schema.yaml": file(`url: {type: string, required: true}
token: {type: string, secret: true}
limit: {type: integer, default: 5}
mail:
  type: object
  properties:
    from: {type: string, default: shop@example.com}
anything: {}
`),
	}, ".")
	tests := []struct{ name, src, want, found string }{
		{"defaults are filled in, nested ones too", "url: x\nmail: {}\n", `{"url":"x","mail":{"from":"shop@example.com"},"limit":5}`, ""},
		{"templates stay", "url: '{{st2kv.system.url}}'\nlimit: 1\nextra: [1]\nanything: {a: 1}\n", `{"url":"{{st2kv.system.url}}","limit":1,"extra":[1],"anything":{"a":1}}`, ""},
		{"a wrong value is named", "url: x\nmail:\n  from: 5\n", "", "shop.yaml:3:9: config of the pack shop: mail.from: 5 is not of type 'string'"},
		{"nothing lacks what is required", "", "", "shop.yaml:1:1: config of the pack shop: 'url' is a required property"},
		{"secrets are not decrypted twice", "url: x\ntoken: '{{ st2kv.system.t | decrypt_kv }}'\n", "", `shop.yaml:2:8: "token" is secret in the config schema and so decrypted anyway: the filter decrypt_kv must not be used`},
		{"a list is no config", "[1]\n", "", "shop.yaml:1:1: the file holds a list, expected a mapping"},
	}
	for _, tt := range tests {
		got, found := packs.ReadConfig(p, []byte(tt.src), "shop.yaml")
		text := ""
		if len(found) > 0 {
			text = found[0].String()
		}
		if string(got) != tt.want || text != tt.found {
			t.Errorf("%s: got %s, %v, want %s, %s", tt.name, got, found, tt.want, tt.found)
		}
	}
}

func ExampleRead() {
	pack := fstest.MapFS{
		"shop/pack.yaml":       file("name: shop\ndescription: d\nversion: 1.0.0\nauthor: a\nemail: e@example.com\n"),
		"shop/rules/mail.yaml": file("name: mail\ntrigger: {type: core.st2.webhook, parameters: {url: mail}}\naction: {ref: core.echo}\nenable: true\n"),
	}
	p, found := packs.Read(pack, "shop")
	fmt.Println(p.Ref, len(p.Rules))
	for _, d := range found {
		fmt.Println(d)
	}
	// Output:
	// shop 0
	// shop/rules/mail.yaml:4:1: unknown key "enable", did you mean "enabled"?
}

// TestDeadlines reads every form of a deadline.
func TestDeadlines(t *testing.T) {
	for text, want := range map[string]hayate.Deadline{
		"90":                               {After: 90 * time.Second},
		"1d12h":                            {After: 36 * time.Hour},
		"{after: 2h}":                      {After: 2 * time.Hour},
		"{after: 2h, warn: 50%}":           {After: 2 * time.Hour, WarnPercent: 50},
		"{at: '05:00', warn: 15m}":         {At: "05:00", WarnBefore: 15 * time.Minute},
		"{at: 22:30}":                      {At: "22:30"}, // to YAML 1.1 a number
		"{at: 5:00, timezone: Asia/Tokyo}": {At: "05:00", Zone: "Asia/Tokyo"},
	} {
		fsys := fstest.MapFS{
			"p/pack.yaml":                {Data: []byte("name: p\ndescription: P.\nversion: 1.0.0\nauthor: A\nemail: a@example.net\n")},
			"p/actions/workflows/w.yaml": {Data: []byte("version: 1.0\ntasks:\n  one: {action: core.noop}\n")},
			"p/actions/w.yaml":           {Data: []byte("name: w\nrunner_type: orquesta\nentry_point: workflows/w.yaml\ndeadline: " + text + "\n")},
		}
		p, found := packs.Read(fsys, "p")
		if len(found) > 0 || len(p.Actions) != 1 || p.Actions[0].Deadline == nil || *p.Actions[0].Deadline != want {
			t.Errorf("deadline %s: got %+v, findings %v; want %+v", text, p.Actions, found, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("actions/a.yaml", []byte("name: a\nrunner_type: noop\nparameters: {x: {type: string, position: 1.5}}\n"))
	f.Add("rules/a.yaml", []byte("name: a\ntrigger: {type: core.st2.CronTimer, parameters: {day: last}}\ncriteria: {a: {type: eq, pattern: &x [1]}}\naction: {ref: a.b}\n"))
	f.Add("sensors/a.yaml", []byte("class_name: A\nentry_point: a.py\ntrigger_types: [{name: a, parameters_schema: {$ref: '#'}}]\n"))
	f.Add("aliases/a.yaml", []byte("name: a\naction_ref: a.b\nformats: [{display: x}]\n"))
	f.Add("policies/a.yaml", []byte("name: a\nresource_ref: a.b\npolicy_type: action.retry\nparameters: {retry_on: timeout}\n"))
	f.Add("config.schema.yaml", []byte("a: {items: [{}], dependencies: {a: [b]}}\n"))
	f.Add("pack.yaml", []byte("name: 1\nref: [a]\n"))
	f.Fuzz(func(t *testing.T, name string, text []byte) {
		files := fstest.MapFS{"p/pack.yaml": file(packYAML)}
		if !fs.ValidPath("p/" + name) {
			return
		}
		files["p/"+name] = &fstest.MapFile{Data: text}
		p, found := packs.Read(files, "p")
		if p == nil && !yamldoc.HasErrors(found) {
			t.Fatal("no pack and no error")
		}
		if p == nil {
			return
		}
		if _, err := json.Marshal(struct{ A, R, T, S, L, P any }{p.Actions, p.Rules, p.TriggerTypes, p.Sensors, p.Aliases, p.Policies}); err != nil {
			t.Fatalf("what was read has no JSON: %v", err)
		}
	})
}
