package normalize

import "strings"

// Bodies that an administrator writes by hand (Zabbix, Nagios, LibreNMS) name
// their fields as people like: EVENT.ID, event_id, eventId, NAGIOS_EVENTID. They
// are looked up without regard to case, separators and prefix.

// pick is the text of the first of the named fields that says something. Names
// are given in lower case without separators.
func (in *input) pick(names ...string) string {
	if in.folded == nil {
		in.folded = make(map[string]value, in.doc.len())
		for name, v := range in.doc.members() {
			in.folded[foldName(name)] = v
		}
	}
	for _, n := range names {
		if s := strings.TrimSpace(in.folded[n].str()); s != "" && !isMacro(s) {
			return s
		}
	}
	return ""
}

// isMacro recognises a placeholder that the sender did not fill in.
func isMacro(s string) bool {
	return s == "*UNKNOWN*" || s[0] == '{' && s[len(s)-1] == '}' && !strings.ContainsAny(s, `" :`) ||
		s[0] == '$' && s[len(s)-1] == '$' && len(s) > 1
}

var unprefixed = [...]string{"nagios", "icinga", "zabbix", "notify"}

func foldName(name string) string {
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= 'A' && c <= 'Z':
			b.WriteByte(c | 0x20)
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			b.WriteByte(c)
		}
	}
	s := b.String()
	for _, p := range unprefixed {
		if rest, found := strings.CutPrefix(s, p); found && rest != "" && rest != "url" {
			return rest
		}
	}
	return s
}
