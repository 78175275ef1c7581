// Package charset turns text in any charset that senders name into UTF-8. It
// knows the names that Japanese mail and monitoring really use, which the
// registry of IANA does not: CP932, MS932, x-sjis, ISO-2022-JP-MS and their kin.
package charset

import (
	"fmt"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// Decode returns text in UTF-8. What cannot be decoded becomes U+FFFD. An
// unknown charset is an error; an empty one means UTF-8, which is passed
// through unchecked, without its byte order mark.
func Decode(text []byte, charset string) ([]byte, error) {
	if IsUTF8(charset) {
		if len(text) >= 3 && text[0] == 0xef && text[1] == 0xbb && text[2] == 0xbf {
			text = text[3:]
		}
		return text, nil
	}
	e, err := Lookup(charset)
	if err != nil {
		return nil, err
	}
	out, _, err := transform.Bytes(e.NewDecoder(), text)
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", charset, err)
	}
	return out, nil
}

// IsUTF8 says whether text of that charset can be read as UTF-8 as it is.
func IsUTF8(charset string) bool {
	switch fold(charset) {
	case "", "utf8", "usascii", "ascii", "unicode11utf8":
		return true
	}
	return false
}

// Lookup finds the encoding with that name. Names are compared without case,
// hyphens and underscores where one of the additional names fits, and by the
// rules of IANA's registry elsewhere.
func Lookup(name string) (encoding.Encoding, error) {
	switch fold(name) {
	case "shiftjis", "sjis", "xsjis", "mskanji", "csshiftjis", "cp932", "ms932", "ibm943", "windows31j", "cswindows31j",
		"shiftjiswin", "sjiswin":
		return japanese.ShiftJIS, nil // decodes as Windows code page 932
	case "eucjp", "xeucjp", "ujis", "cp51932", "eucjpms", "eucjpwin":
		return japanese.EUCJP, nil
	case "iso2022jp", "jis", "iso2022jpms", "cp50220", "cp50221", "cp50222", "iso2022jp1", "csiso2022jp":
		return japanese.ISO2022JP, nil // knows row 13 of NEC and half-width katakana
	case "utf16":
		return unicode.UTF16(unicode.BigEndian, unicode.UseBOM), nil
	}
	e, err := ianaindex.MIME.Encoding(name)
	if err != nil || e == nil {
		e, err = ianaindex.IANA.Encoding(name)
	}
	if err != nil || e == nil {
		return nil, fmt.Errorf("unknown charset %q", name)
	}
	return e, nil
}

// fold is the name in lower case without quotes and separators.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r | 0x20
		case strings.ContainsRune("-_ :\"'", r):
			return -1
		}
		return r
	}, name)
}
