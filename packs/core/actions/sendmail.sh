#!/bin/sh
# Sends a mail: sendmail.sh BINARY FROM TO SUBJECT SEND_EMPTY CONTENT_TYPE BODY [ATTACHMENTS]
# BINARY "None" looks for sendmail in PATH; SEND_EMPTY is 1 or 0; ATTACHMENTS are
# paths separated by commas. Text is UTF-8.
set -eu

binary=$1 from=$2 to=$3 subject=$4 send_empty=$5 content_type=$6 body=$7 attachments=${8-}

fail() {
	printf '%s\n' "$1" >&2
	exit "$2"
}

# A line break in a header would start another header.
one_line() {
	printf '%s' "$1" | tr '\r\n' '  '
}

# encoded prints a header's text, in RFC 2047's form where it is not plain ASCII:
# one encoded word holds at most 45 bytes, cut between characters.
encoded() {
	text=$(one_line "$1")
	if ! printf '%s' "$text" | LC_ALL=C grep -q '[^ -~]'; then
		printf '%s' "$text"
		return
	fi
	printf '%s' "$text" | od -An -v -tu1 | LC_ALL=C awk '
		BEGIN {
			digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
		}
		{ for (i = 1; i <= NF; i++) byte[n++] = $i }
		function word(from, to,   i, out, a, b, c, left) {
			for (i = from; i < to; i += 3) {
				left = to - i
				a = byte[i]; b = left > 1 ? byte[i+1] : 0; c = left > 2 ? byte[i+2] : 0
				out = out substr(digits, int(a / 4) + 1, 1) substr(digits, (a % 4) * 16 + int(b / 16) + 1, 1)
				out = out (left > 1 ? substr(digits, (b % 16) * 4 + int(c / 64) + 1, 1) : "=")
				out = out (left > 2 ? substr(digits, c % 64 + 1, 1) : "=")
			}
			return "=?UTF-8?B?" out "?="
		}
		END {
			for (from = 0; from < n; from = to) {
				to = from + 45
				if (to > n) to = n
				while (to < n && byte[to] >= 128 && byte[to] < 192) to--
				printf "%s%s", (from ? "\n " : ""), word(from, to)
			}
		}'
}

media_type() {
	if command -v file >/dev/null 2>&1; then
		file --brief --mime-type -- "$1"
	else
		echo application/octet-stream
	fi
}

[ "$send_empty" = 1 ] || case $body in *[![:space:]]*) ;; *)
	echo "the body is empty: nothing sent"
	exit 0
	;;
esac

host=$(hostname -f 2>/dev/null || hostname)
from=$(one_line "$from")
case $from in *@*) ;; *) from=$from@$host ;; esac

if [ "$binary" = None ] || [ -z "$binary" ]; then
	binary=$(command -v sendmail || command -v /usr/sbin/sendmail) || fail "there is no sendmail in PATH" 2
	set -- "$binary" -t
else
	[ -x "$(command -v "$binary")" ] || fail "cannot run $binary" 2
	set -- "$binary"
fi

old_ifs=$IFS
IFS=,
for path in $attachments; do
	[ -r "$path" ] || fail "cannot read the attachment $path" 3
done
IFS=$old_ifs

mail=$(mktemp)
trap 'rm -f "$mail"' EXIT
boundary=hayate-$$-$(date +%s)
{
	printf 'From: %s\n' "$from"
	printf 'To: %s\n' "$(one_line "$to")"
	printf 'Subject: %s\n' "$(encoded "$subject")"
	printf 'Date: %s\n' "$(LC_ALL=C date '+%a, %d %b %Y %H:%M:%S %z')"
	printf 'MIME-Version: 1.0\n'
	if [ -n "$attachments" ]; then
		printf 'Content-Type: multipart/mixed; boundary="%s"\n\n--%s\n' "$boundary" "$boundary"
	fi
	printf 'Content-Type: %s; charset=UTF-8\nContent-Transfer-Encoding: base64\n\n' "$(one_line "$content_type")"
	printf '%s\n' "$body" | base64
	if [ -n "$attachments" ]; then
		IFS=,
		for path in $attachments; do
			IFS=$old_ifs
			printf '\n--%s\nContent-Type: %s\nContent-Transfer-Encoding: base64\n' "$boundary" "$(media_type "$path")"
			printf 'Content-Disposition: attachment; filename="%s"\n\n' "$(one_line "$(basename "$path")" | tr '"' _)"
			base64 <"$path"
		done
		IFS=$old_ifs
		printf '\n--%s--\n' "$boundary"
	fi
} >"$mail"
"$@" <"$mail"
