package normalize

import "strings"

// Bodies that an administrator writes by hand (Zabbix, Nagios, LibreNMS) name
// their fields as people like: EVENT.ID, event_id, eventId, NAGIOS_EVENTID. They
// are looked up without regard to case, separators and prefix.

// maxHandMade is more members than a body has that somebody wrote by hand; all
// of Nagios' macros are some 200.
const maxHandMade = 500

// pick is the text of the first of the named fields that says something. Names
// are given in lower case without separators.
func (in *input) pick(names ...string) string {
	if !in.doc.isObject() || in.doc.len() > maxHandMade {
		return ""
	}
	d := in.doc.doc
	for _, name := range names {
		for i := in.doc.node().child; i != 0; i = d.nodes[i].next {
			n := &d.nodes[i]
			if !fits(d.text[n.keyStart:n.keyEnd], name) {
				continue
			}
			if s := strings.TrimSpace(value{d, i}.str()); s != "" && !isMacro(s) {
				return s
			}
		}
	}
	return ""
}

// isMacro recognises a macro that the sender did not fill in.
func isMacro(s string) bool {
	return s == "*UNKNOWN*" || s[0] == '{' && s[len(s)-1] == '}' && !strings.ContainsAny(s, `" :`) ||
		s[0] == '$' && s[len(s)-1] == '$' && len(s) > 1
}

// prefixes are those that tools and people put before the name of a field.
var prefixes = [...]string{"nagios", "icinga", "zabbix", "notify"}

// fits says whether a member's name means the field of that name. ZABBIX_URL is
// not the field url, which is any link; all other prefixes say nothing.
func fits(key []byte, name string) bool {
	rest, same := after(key, name)
	if same && empty(rest) {
		return true
	}
	if name == "url" {
		return false
	}
	for _, p := range prefixes {
		if rest, same := after(key, p); same {
			rest, same = after(rest, name)
			return same && empty(rest)
		}
	}
	return false
}

// after is what follows in key behind word, which is in lower case without
// separators, and whether key begins with it.
func after(key []byte, word string) ([]byte, bool) {
	at := 0
	for at < len(word) {
		if len(key) == 0 {
			return nil, false
		}
		c := letter(key[0])
		key = key[1:]
		if c == 0 {
			continue
		}
		if c != word[at] {
			return nil, false
		}
		at++
	}
	return key, true
}

// empty says whether nothing but separators is left.
func empty(key []byte) bool {
	for _, c := range key {
		if letter(c) != 0 {
			return false
		}
	}
	return true
}

// letter is a letter in lower case or a digit, and 0 for everything else.
func letter(c byte) byte {
	switch {
	case c >= 'A' && c <= 'Z':
		return c | 0x20
	case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
		return c
	}
	return 0
}
